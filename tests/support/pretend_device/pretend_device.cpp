#include "tests/support/pretend_device/pretend_device.h"

#include <ATen/native/DispatchStub.h>
#include <ATen/native/transformers/attention.h>
#include <ATen/native/transformers/sdp_utils_cpp.h>
#include <ATen/ops/from_blob.h>
#include <torch/library.h>

#include <vector>

#include "tests/support/pretend_device/attention.h"
#include "tests/support/pretend_device/boxed_operator.h"
#include "tests/support/pretend_device/copies.h"
#include "tests/support/pretend_device/cuda_operators.h"
#include "tests/support/pretend_device/hooks.h"
#include "tests/support/pretend_device/memory.h"

namespace striate::test {
namespace {

using c10::DispatchKey;

// One call without gradients; with gradients the operators that it is made of.
std::int64_t choose_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const std::optional<at::Tensor>&, double, bool, std::optional<double>, bool) {
  const bool learns = at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  return static_cast<std::int64_t>(learns ? sdp::SDPBackend::math : sdp::SDPBackend::overrideable);
}

// As on CUDA, where an operator's own kernel stands before what it could be composed of.
void register_operators() {
  static auto* registrations = new std::vector<c10::RegistrationHandleRAII>;
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const c10::OperatorName& name : dispatcher.getAllOpNames()) {
    const auto op = dispatcher.findOp(name);
    if (!op || !op->hasSchema() || !pretend::has_cuda_kernel(pretend::full_name(*op))) continue;
    if (op->hasKernelForDispatchKey(DispatchKey::PrivateUse1)) continue;
    const bool computable = op->hasKernelForDispatchKey(DispatchKey::CPU) ||
                            op->hasKernelForDispatchKey(DispatchKey::CompositeExplicitAutograd);
    if (!computable) continue;
    registrations->push_back(dispatcher.registerImpl(
        name, DispatchKey::PrivateUse1, c10::KernelFunction::makeFromBoxedFunction<&pretend::run_cpu_kernel>(),
        std::nullopt, nullptr, "pretend device"));
  }
}

void register_device() {
  pretend::explain_faults();
  c10::SetAllocator(pretend::kDeviceType, &pretend::device_memory());
  pretend::register_hooks();
  c10::register_privateuse1_backend("pretend");
  static torch::Library kernels(torch::Library::IMPL, "aten", DispatchKey::PrivateUse1, __FILE__, __LINE__);
  pretend::register_copies(kernels);
  pretend::register_attention(kernels);
  static torch::Library others(torch::Library::IMPL, "_", DispatchKey::PrivateUse1, __FILE__, __LINE__);
  others.fallback(torch::CppFunction::makeFromBoxedFunction<&pretend::run_cpu_kernel>());
  at::native::_fused_sdp_choice_stub.set_privateuse1_dispatch_ptr(&choose_attention);
  register_operators();
}

}  // namespace

at::Device pretend_device() {
  static const bool registered = (register_device(), true);
  return {pretend::kDeviceType, registered ? c10::DeviceIndex{0} : c10::DeviceIndex{-1}};
}

at::Tensor bytes_of(const at::Tensor& device_tensor) {
  TORCH_CHECK(device_tensor.device().type() == pretend::kDeviceType && device_tensor.is_contiguous());
  return at::from_blob(
      pretend::host_address(device_tensor.data_ptr()), device_tensor.sizes(), [device_tensor](void*) {},
      at::TensorOptions(device_tensor.scalar_type()));
}

DeviceMemoryLimit::DeviceMemoryLimit(std::int64_t bytes) : before_(pretend::most_bytes()) {
  pretend::set_most_bytes(pretend::bytes_in_use() + static_cast<std::size_t>(bytes));
}

DeviceMemoryLimit::~DeviceMemoryLimit() {
  pretend::set_most_bytes(before_);
}

}  // namespace striate::test
