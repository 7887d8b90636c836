#include "tests/support/pretend_device/boxed_operator.h"

#include <ATen/Context.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <optional>
#include <string>

#include "tests/support/pretend_device/counts.h"
#include "tests/support/pretend_device/cuda_operators.h"
#include "tests/support/pretend_device/host_tensors.h"
#include "tests/support/pretend_device/memory.h"

namespace striate::test::pretend {
namespace {

constexpr std::int64_t kNumberBytes = 8;  // of an answer that the host waits for

// One call of an operator: its arguments on the way to the CPU, its results on the way back, and what it costs.
class BoxedCall {
 public:
  explicit BoxedCall(const c10::OperatorHandle& op) : op_(op), name_(full_name(op)) {}

  torch::jit::Stack host_arguments(at::ArrayRef<c10::IValue> arguments) {
    torch::jit::Stack host;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const auto* alias = op_.schema().arguments()[i].alias_info();
      writes_ = writes_ || (alias != nullptr && alias->isWrite());
      host.push_back(host_argument(arguments[i]));
    }
    if (picks_rows(name_) && !arguments.empty() && arguments[0].isTensor()) {
      not_touched_ = distinct_bytes(arguments[0].toTensor());
    }
    return host;
  }

  void take_results(torch::jit::Stack& results) {
    tensors_.take_back();
    for (c10::IValue& value : results) {
      if (value.isTensor()) {
        value = device_result(value.toTensor());
      } else if (value.isTensorList()) {
        c10::List<at::Tensor> list;
        for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(device_result(tensor));
        value = std::move(list);
      }
    }
  }

  void count() const {
    const bool computes = writes_ || fresh_bytes_.has_value();
    if (computes) count_launch(name_, tensors_.bytes() - not_touched_ + fresh_bytes_.value_or(0));
    if (adds_in_any_order(name_) && !at::globalContext().deterministicAlgorithms()) count_atomic();
    const bool answers_the_host = !gives_tensors_ && !writes_ && !op_.schema().returns().empty();
    if (answers_the_host) count_launch(name_, tensors_.bytes());
    if (answers_the_host || masked_ || sizes_its_result(name_)) {
      count_copy({Direction::kToHost, kNumberBytes, false, true}, name_);
    }
  }

 private:
  at::Tensor host_tensor(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    const bool on_device = tensor.device().type() == kDeviceType;
    TORCH_CHECK(on_device || takes_cpu_tensor(op_, tensor),
                "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and ",
                tensor.device(), "! (when checking arguments of ", name_, ")");
    TORCH_CHECK(!is_product(name_) || tensor.is_floating_point(), "\"", name_, "_cuda\" not implemented for '",
                tensor.scalar_type(), "'");
    const bool is_index = indexes(name_);
    if (is_index && on_device && tensor.scalar_type() == at::kBool) masked_ = true;
    if (is_index && !on_device) {
      count_copy({Direction::kToDevice, distinct_bytes(tensor), is_pinned(tensor.const_data_ptr()), true}, name_);
    }
    return on_device ? tensors_.host(tensor) : tensor;
  }

  c10::IValue host_argument(const c10::IValue& value) {
    if (value.isTensor()) return host_tensor(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(host_tensor(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const auto& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional(host_tensor(*tensor)) : std::nullopt);
      }
      return list;
    }
    TORCH_CHECK(!value.isGenerator(), "Expected a 'cuda' device type for generator but found 'cpu'");
    if (value.isDevice() && value.toDevice().type() == kDeviceType) return c10::Device(c10::kCPU);
    return value;
  }

  at::Tensor device_result(const at::Tensor& result) {
    gives_tensors_ = true;
    const HostTensors::Result made = tensors_.device(result);
    if (made.fresh) fresh_bytes_ = fresh_bytes_.value_or(0) + distinct_bytes(made.device);
    return made.device;
  }

  const c10::OperatorHandle& op_;
  std::string name_;
  HostTensors tensors_;
  bool writes_ = false;
  bool masked_ = false;  // by a device tensor of booleans, whose number of hits the host waits for
  bool gives_tensors_ = false;
  std::int64_t not_touched_ = 0;
  std::optional<std::int64_t> fresh_bytes_;  // of results that are no views
};

}  // namespace

void run_cpu_kernel(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const DeviceLock lock(device_mutex());
  const std::string name = full_name(op);
  TORCH_CHECK_NOT_IMPLEMENTED(has_cuda_kernel(name), "Could not run '", name,
                              "' with arguments from the 'CUDA' backend: it has no CUDA kernel");
  BoxedCall call(op);
  const std::size_t count = op.schema().arguments().size();
  torch::jit::Stack host = call.host_arguments(torch::jit::last(*stack, count));
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    op.callBoxed(&host);
  }
  call.take_results(host);
  call.count();
  torch::jit::drop(*stack, count);
  for (c10::IValue& value : host) stack->push_back(std::move(value));
}

}  // namespace striate::test::pretend
