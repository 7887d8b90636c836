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

class Strict final : public c10d::Backend {
 public:
  Strict(c10::intrusive_ptr<c10d::Backend> inner, const Ranks& ranks)
      : c10d::Backend(ranks.rank, ranks.size), inner_(std::move(inner)) {}

  const std::string getBackendName() const override { return "strict"; }

  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor>& tensors,
                                           const c10d::AllreduceOptions& options) override {
    std::vector<at::Tensor> hosts;
    for (const at::Tensor& tensor : tensors) {
      TORCH_CHECK(tensor.device() == pretend_device(), "Tensors must be on the device and dense: one is on ",
                  tensor.device());
      TORCH_CHECK(tensor.is_contiguous(), "Tensors must be contiguous");
      TORCH_CHECK(tensor.scalar_type() == tensors.front().scalar_type(), "Tensors must have identical type");
      hosts.push_back(bytes_of(tensor));
    }
    ++sums_taken;
    return inner_->allreduce(hosts, options);
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
