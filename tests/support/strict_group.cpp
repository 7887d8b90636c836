#include "tests/support/strict_group.h"

#include <ATen/core/Tensor.h>

#include <atomic>
#include <thread>

#include "striate/base/error.h"
#include "tests/support/ports.h"
#include "tests/support/pretend_device/pretend_device.h"

namespace striate::test {
namespace {

std::atomic<std::int64_t> sums_taken = 0;

// A call whose results are ordered on the device: who asks whether it is done has the host wait for the device.
class StrictWork final : public c10d::Work {
 public:
  explicit StrictWork(c10::intrusive_ptr<c10d::Work> inner) : inner_(std::move(inner)) {}
  bool isCompleted() override {
    const bool done = inner_->isCompleted();
    if (done) pretend::count_wait("a collective");
    return done;
  }
  bool wait(std::chrono::milliseconds timeout) override { return inner_->wait(timeout); }

 private:
  c10::intrusive_ptr<c10d::Work> inner_;
};

c10::intrusive_ptr<c10d::Work> strict(c10::intrusive_ptr<c10d::Work> inner) {
  return c10::make_intrusive<StrictWork>(std::move(inner));
}

// The bytes of a tensor that NCCL would take.
at::Tensor checked_bytes(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.device() == pretend_device(), "Tensors must be on the device and dense: one is on ",
              tensor.device());
  TORCH_CHECK(tensor.is_contiguous(), "Tensors must be contiguous");
  return bytes_of(tensor);
}

class Strict final : public c10d::Backend {
 public:
  Strict(c10::intrusive_ptr<c10d::Backend> inner, const Ranks& ranks)
      : c10d::Backend(ranks.rank, ranks.size), inner_(std::move(inner)) {}

  const std::string getBackendName() const override { return "strict"; }

  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors,
                                           const c10d::AllreduceOptions& options) override {
    std::vector<at::Tensor> hosts;
    for (const at::Tensor& tensor : tensors) {
      TORCH_CHECK(tensor.scalar_type() == tensors.front().scalar_type(), "Tensors must have identical type");
      hosts.push_back(checked_bytes(tensor));
    }
    ++sums_taken;
    return strict(inner_->allreduce(hosts, options));
  }

  c10::intrusive_ptr<c10d::Work> alltoall_base(at::Tensor& output, at::Tensor& input,
                                               std::vector<std::int64_t>& outputs, std::vector<std::int64_t>& inputs,
                                               const c10d::AllToAllOptions& options) override {
    at::Tensor to = checked_bytes(output), from = checked_bytes(input);
    return strict(inner_->alltoall_base(to, from, outputs, inputs, options));
  }

  c10::intrusive_ptr<c10d::Work> _allgather_base(at::Tensor& output, at::Tensor& input,
                                                 const c10d::AllgatherOptions& options) override {
    at::Tensor to = checked_bytes(output), from = checked_bytes(input);
    return strict(inner_->_allgather_base(to, from, options));
  }

 private:
  c10::intrusive_ptr<c10d::Backend> inner_;
};

constexpr std::chrono::minutes kCalls{10};

std::vector<std::string> on_ranks(int size, const std::function<std::unique_ptr<Collective>(const Ranks&)>& join,
                                  const std::function<void(Collective&)>& body) {
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  const int port = free_port();
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      Ranks ranks;
      ranks.rank = rank;
      ranks.size = size;
      ranks.port = port;
      try {
        body(*join(ranks));
      } catch (const std::exception& error) {
        errors[static_cast<std::size_t>(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace

c10::intrusive_ptr<c10d::Backend> strict_backend(const c10::intrusive_ptr<c10d::Store>& store, const Ranks& ranks) {
  return c10::make_intrusive<Strict>(make_gloo(store, ranks.rank, ranks.size, kCalls), ranks);
}

std::int64_t strict_sums() {
  return sums_taken;
}

std::vector<std::string> on_strict_ranks(int size, const std::function<void(Collective&)>& body) {
  const at::Device device = pretend_device();
  const auto join = [device](const Ranks& ranks) {
    return join_ranks(ranks, [device, ranks](const c10::intrusive_ptr<c10d::Store>& store) {
      return GroupBackend{strict_backend(store, ranks), device};
    });
  };
  return on_ranks(size, join, body);
}

std::vector<std::string> on_gloo_ranks(int size, const std::function<void(Collective&)>& body) {
  return on_ranks(
      size, [](const Ranks& ranks) { return join_ranks(ranks, at::kCPU); }, body);
}

}  // namespace striate::test
