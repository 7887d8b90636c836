#include "tests/support/pretend_device/memory.h"

#include <c10/util/Exception.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iomanip>
#include <map>
#include <sstream>
#include <string>
#include <string_view>

#include "tests/support/pretend_device/counts.h"
#include "tests/support/pretend_device/hooks.h"

namespace striate::test::pretend {
namespace {

constexpr std::size_t kHalf = std::size_t{16} << 30;
constexpr std::size_t kRounding = 512;
constexpr std::size_t kWorthReturning = std::size_t{1} << 20;  // freed blocks of this size leave main memory

char* address_space() {
  static char* begin = [] {
    void* space = ::mmap(nullptr, 2 * kHalf, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TORCH_CHECK(space != MAP_FAILED, "no address space for the pretend device");
    auto* first = static_cast<char*>(space);
    TORCH_CHECK(::mprotect(first + kHalf, kHalf, PROT_READ | PROT_WRITE) == 0, "the pretend device has no memory");
    return first;
  }();
  return begin;
}

// Which parts of the device's half are free; neighbours are one range.
class FreeRanges {
 public:
  FreeRanges() { free_[kRounding] = kHalf - kRounding; }  // offset 0 stays unused: no block is the half's beginning

  // The lowest range with room for `size`; 0: there is none.
  std::size_t take(std::size_t size) {
    const auto found = std::find_if(free_.begin(), free_.end(), [&](const auto& r) { return r.second >= size; });
    if (found == free_.end()) return 0;
    const auto [offset, room] = *found;
    free_.erase(found);
    if (room > size) free_[offset + size] = room - size;
    left_ -= size;
    return offset;
  }
  void give_back(std::size_t offset, std::size_t size) {
    left_ += size;
    const auto after = free_.lower_bound(offset);
    if (after != free_.end() && offset + size == after->first) {
      size += after->second;
      free_.erase(after);
    }
    const auto next = free_.lower_bound(offset);
    if (next != free_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == offset) {
        before->second += size;
        return;
      }
    }
    free_[offset] = size;
  }
  std::size_t left() const { return left_; }

 private:
  std::map<std::size_t, std::size_t> free_;  // by offset
  std::size_t left_ = kHalf - kRounding;
};

class DeviceMemory final : public c10::DeviceAllocator {
 public:
  static DeviceMemory& get() {
    static auto* memory = new DeviceMemory;  // tensors may be freed after static objects
    return *memory;
  }

  c10::DataPtr allocate(std::size_t bytes) override {
    const c10::Device device(kDeviceType, 0);
    if (bytes == 0) return {nullptr, nullptr, &free_block, device};
    const DeviceLock lock(device_mutex());
    const std::size_t size = (bytes + kRounding - 1) / kRounding * kRounding;
    const std::size_t free = most_ - std::min(most_, in_use());
    const std::size_t offset = size <= free ? ranges_.take(size) : 0;
    TORCH_CHECK_WITH(OutOfMemoryError, offset != 0, "CUDA out of memory. Tried to allocate ", mebibytes(size),
                     ". GPU 0 has a total capacity of ", mebibytes(most_), " of which ", mebibytes(free),
                     " is free. This is the pretend device.");
    char* block = address_space() + offset;
    std::memset(host_address(block), 0xff, size);  // NaN in every floating type
    const bool side = on_side_stream();
    blocks_[block] = {size, side};
    stats_.allocation[0].increase(1);
    stats_.allocated_bytes[0].increase(size);
    count_allocation(static_cast<std::int64_t>(size), side);
    return {block, block, &free_block, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(host_address(to), host_address(from), bytes);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override { return stats_; }
  void resetAccumulatedStats(c10::DeviceIndex) override { stats_.allocated_bytes[0].reset_accumulated(); }
  void resetPeakStats(c10::DeviceIndex) override { stats_.allocated_bytes[0].reset_peak(); }
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex) override {
    return {most_ - std::min(most_, in_use()), most_};
  }

  std::size_t in_use() const { return kHalf - kRounding - ranges_.left(); }
  std::size_t most() const { return most_; }
  void set_most(std::size_t bytes) { most_ = std::min(bytes, kHalf); }

 private:
  static void free_block(void* block) {
    if (block == nullptr) return;
    const DeviceLock lock(device_mutex());
    DeviceMemory& memory = get();
    const auto found = memory.blocks_.find(static_cast<char*>(block));
    const auto [size, side] = found->second;
    memory.blocks_.erase(found);
    if (size >= kWorthReturning) return_pages(host_address(block), size);
    memory.ranges_.give_back(static_cast<std::size_t>(static_cast<char*>(block) - address_space()), size);
    memory.stats_.allocation[0].decrease(1);
    memory.stats_.allocated_bytes[0].decrease(size);
    count_release(static_cast<std::int64_t>(size), side);
  }
  static void return_pages(void* begin, std::size_t size) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto address = reinterpret_cast<std::uintptr_t>(begin);
    const std::uintptr_t first = (address + page - 1) / page * page;
    const std::uintptr_t last = (address + size) / page * page;
    ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }

  // "2.00 MiB"
  static std::string mebibytes(std::size_t bytes) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(2) << static_cast<double>(bytes) / (1 << 20) << " MiB";
    return text.str();
  }

  struct Block {
    std::size_t size;
    bool side;  // allocated on another stream than the default one
  };

  FreeRanges ranges_;
  std::size_t most_ = kHalf;
  std::map<char*, Block> blocks_;
  c10::CachingDeviceAllocator::DeviceStats stats_;
};

class PinnedMemory final : public c10::Allocator {
 public:
  static PinnedMemory& get() {
    static auto* memory = new PinnedMemory;
    return *memory;
  }

  c10::DataPtr allocate(std::size_t bytes) override {
    void* block = std::malloc(std::max<std::size_t>(bytes, 1));
    TORCH_CHECK_WITH(OutOfMemoryError, block != nullptr, "no memory to pin");
    const DeviceLock lock(device_mutex());
    sizes_[static_cast<char*>(block)] = bytes;
    count_pinned_allocation();
    return {block, block, &free_block, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }

  bool owns(const void* address) const {
    const DeviceLock lock(device_mutex());
    const auto* place = static_cast<const char*>(address);
    const auto after = sizes_.upper_bound(const_cast<char*>(place));
    if (after == sizes_.begin()) return false;
    const auto& [begin, size] = *std::prev(after);
    return place < begin + size;
  }
  bool gave(const c10::DataPtr& storage) const { return storage.get_deleter() == &free_block; }

 private:
  static void free_block(void* block) {
    {
      const DeviceLock lock(device_mutex());
      get().sizes_.erase(static_cast<char*>(block));
    }
    std::free(block);
  }

  std::map<char*, std::size_t> sizes_;
};

struct sigaction previous_action {};

void on_fault(int, siginfo_t* info, void*) {
  if (is_device_address(info->si_addr)) {
    constexpr std::string_view kMessage = "host code touched the memory of the pretend device\n";
    if (::write(STDERR_FILENO, kMessage.data(), kMessage.size()) < 0) ::_exit(139);
  }
  ::sigaction(SIGSEGV, &previous_action, nullptr);  // and the fault comes again
}

}  // namespace

std::recursive_mutex& device_mutex() {
  static auto* mutex = new std::recursive_mutex;
  return *mutex;
}

c10::DeviceAllocator& device_memory() {
  return DeviceMemory::get();
}

std::size_t bytes_in_use() {
  const DeviceLock lock(device_mutex());
  return DeviceMemory::get().in_use();
}

std::size_t most_bytes() {
  const DeviceLock lock(device_mutex());
  return DeviceMemory::get().most();
}

void set_most_bytes(std::size_t bytes) {
  const DeviceLock lock(device_mutex());
  DeviceMemory::get().set_most(bytes);
}

bool is_device_address(const void* address) {
  return address >= address_space() && address < address_space() + kHalf;
}

void* host_address(const void* device_address) {
  if (device_address == nullptr) return nullptr;
  return const_cast<char*>(static_cast<const char*>(device_address)) + kHalf;
}

c10::Allocator& pinned_memory() {
  return PinnedMemory::get();
}

bool is_pinned(const void* address) {
  return PinnedMemory::get().owns(address);
}

bool is_pinned_block(const c10::DataPtr& storage) {
  return PinnedMemory::get().gave(storage);
}

void explain_faults() {
  struct sigaction action {};
  action.sa_sigaction = &on_fault;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSEGV, &action, &previous_action);
}

}  // namespace striate::test::pretend
