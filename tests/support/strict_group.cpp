#include "tests/support/strict_group.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <ATen/ops/zero.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <sys/mman.h>
#include <torch/library.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <thread>

#include "striate/base/error.h"
#include "tests/support/ports.h"

namespace striate::test {
namespace {

constexpr c10::DeviceType kType = c10::DeviceType::PrivateUse1;

// Each block is twice as large as asked for: its address points into the first half, which nobody may touch, and its
// bytes lie in the second.
class Memory final : public c10::Allocator {
 public:
  static Memory& get() {
    static Memory memory;
    return memory;
  }
  c10::DataPtr allocate(std::size_t bytes) override {
    const c10::Device device(kType, 0);
    if (bytes == 0) return {nullptr, nullptr, &free, device};
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t half = (bytes + page - 1) / page * page;
    void* block = ::mmap(nullptr, 2 * half, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) throw std::bad_alloc();
    auto* begin = static_cast<std::byte*>(block);
    ::mprotect(begin + half, half, PROT_READ | PROT_WRITE);
    std::memset(begin + half, 0xff, half);  // NaN
    const std::lock_guard lock(mutex_);
    halves_[begin] = half;
    return {block, block, &free, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(bytes_at(to), bytes_at(from), bytes);
  }

  // Where the bytes of a device address lie.
  void* bytes_at(const void* address) const {
    if (address == nullptr) return nullptr;
    auto* place = static_cast<std::byte*>(const_cast<void*>(address));
    const std::lock_guard lock(mutex_);
    return place + std::prev(halves_.upper_bound(place))->second;
  }

 private:
  static void free(void* block) {
    if (block == nullptr) return;
    Memory& memory = get();
    const std::lock_guard lock(memory.mutex_);
    const auto found = memory.halves_.find(static_cast<std::byte*>(block));
    ::munmap(block, 2 * found->second);
    memory.halves_.erase(found);
  }

  mutable std::mutex mutex_;
  std::map<std::byte*, std::size_t> halves_;
};

// The tensor itself where it lies in main memory, else one over the same bytes, which keeps it alive.
at::Tensor host_view(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return tensor;
  return at::from_blob(
      Memory::get().bytes_at(tensor.data_ptr()), tensor.sizes(), tensor.strides(), [tensor](void*) {},
      at::TensorOptions(tensor.scalar_type()));
}

constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &Memory::get(), kKeys, dtype.value_or(at::kFloat), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &Memory::get(), kKeys, dtype.value_or(at::kFloat));
}

at::Tensor as_strided(const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride,
                      std::optional<std::int64_t> offset) {
  return at::native::as_strided_tensorimpl(self, size, stride, offset);
}

at::Tensor view(const at::Tensor& self, at::IntArrayRef size) {
  return at::native::view(self, size);
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  host_view(to).copy_(host_view(from));
  return to;
}

at::Tensor& zero(at::Tensor& self) {
  host_view(self).zero_();
  return self;
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("as_strided", &as_strided);
  m.impl("view", &view);
  m.impl("_copy_from", &copy_from);
  m.impl("zero_", &zero);
}

C10_REGISTER_GUARD_IMPL(PrivateUse1, c10::impl::NoOpDeviceGuardImpl<kType>)

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
      TORCH_CHECK(tensor.device().type() == kType, "Tensors must be on the device and dense: one is on ",
                  tensor.device());
      TORCH_CHECK(tensor.is_contiguous(), "Tensors must be contiguous");
      TORCH_CHECK(tensor.scalar_type() == tensors.front().scalar_type(), "Tensors must have identical type");
      hosts.push_back(host_view(tensor));
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

at::Device strict_device() {
  static const bool known = [] {
    c10::SetAllocator(kType, &Memory::get());
    return true;
  }();
  return {kType, known ? c10::DeviceIndex{0} : c10::DeviceIndex{-1}};
}

c10::intrusive_ptr<c10d::Backend> strict_backend(const c10::intrusive_ptr<c10d::Store>& store, const Ranks& ranks) {
  return c10::make_intrusive<Strict>(make_gloo(store, ranks.rank, ranks.size, kCalls), ranks);
}

std::int64_t strict_sums() {
  return sums_taken;
}

std::vector<std::string> on_strict_ranks(int size, const std::function<void(Collective&)>& body) {
  const at::Device device = strict_device();
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
