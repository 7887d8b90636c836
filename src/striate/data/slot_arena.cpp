#include "striate/data/slot_arena.h"

#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kPiece = std::size_t{16} << 20;
constexpr std::size_t kAlignment = 64;

}  // namespace

struct SlotArena::Pools {
  ~Pools() {
    for (const auto& [begin, size] : pieces) munmap(begin, size);
  }

  // Called with the mutex held.
  void add_piece(std::size_t slot, std::vector<std::byte*>& free) {
    const std::size_t size = std::max(kPiece / slot, std::size_t{1}) * slot;
    void* begin = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) {
      throw resource_error(cat("no memory for ", human_bytes(size), " of features"), "give a smaller `feature_cache`");
    }
    pieces.emplace_back(begin, size);
    mapped += size;
    for (std::size_t at = size; at > 0; at -= slot) free.push_back(static_cast<std::byte*>(begin) + at - slot);
  }

  std::mutex mutex;
  std::map<std::size_t, std::vector<std::byte*>> free_slots;  // by slot size
  std::vector<std::pair<void*, std::size_t>> pieces;
  std::size_t mapped = 0;
};

SlotArena::SlotArena() : pools_(std::make_shared<Pools>()) {}

at::Tensor SlotArena::copy(const at::Tensor& x) {
  const std::size_t slot = std::max((x.nbytes() + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
  std::byte* place = nullptr;
  {
    const std::scoped_lock lock(pools_->mutex);
    std::vector<std::byte*>& free = pools_->free_slots[slot];
    if (free.empty()) pools_->add_piece(slot, free);
    place = free.back();
    free.pop_back();
  }
  const auto give_back = [pools = pools_, slot](void* data) {
    const std::scoped_lock lock(pools->mutex);
    pools->free_slots[slot].push_back(static_cast<std::byte*>(data));
  };
  const at::TensorOptions options = at::TensorOptions(x.scalar_type());
  at::Tensor kept = at::from_blob(place, x.sizes(), give_back, options);
  kept.copy_(x);
  return kept;
}

std::size_t SlotArena::bytes() const {
  const std::scoped_lock lock(pools_->mutex);
  return pools_->mapped;
}

}  // namespace striate
