#include "striate/data/slot_arena.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/torch_errors.h"

namespace striate {
namespace {

constexpr std::size_t kPiece = std::size_t{16} << 20;
constexpr std::size_t kAlignment = 64;

constexpr const char* kHint = "give a smaller `feature_cache`";

// Memory that goes back to where it came from.
class Piece {
 public:
  Piece(std::size_t size, SlotMemory memory) : size_(size) {
    if (memory == SlotMemory::kMapped) {
      begin_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (begin_ == MAP_FAILED) throw resource_error(cat("no memory for ", human_bytes(size), " of features"), kHint);
      return;
    }
    try {
      pinned_ = at::empty({static_cast<std::int64_t>(size)}, at::TensorOptions(at::kByte).pinned_memory(true));
    } catch (const std::exception& error) {
      throw explain(error, kHint);
    }
    begin_ = pinned_.mutable_data_ptr();
  }
  Piece(Piece&& other) noexcept
      : begin_(std::exchange(other.begin_, nullptr)), size_(other.size_), pinned_(std::move(other.pinned_)) {}
  Piece& operator=(Piece&&) = delete;
  ~Piece() {
    if (begin_ != nullptr && !pinned_.defined()) munmap(begin_, size_);
  }

  std::byte* begin() const { return static_cast<std::byte*>(begin_); }

 private:
  void* begin_ = nullptr;
  std::size_t size_;
  at::Tensor pinned_;  // undefined where the memory is mapped
};

}  // namespace

struct SlotArena::Pools {
  explicit Pools(SlotMemory of) : memory(of) {}

  // Called with the mutex held.
  void add_piece(std::size_t slot, std::vector<std::byte*>& free) {
    const std::size_t used = std::max(kPiece / slot, std::size_t{1}) * slot;
    // LibTorch rounds what it pins up to a power of two.
    const std::size_t size = memory == SlotMemory::kPinned ? std::max(kPiece, used) : used;
    std::byte* begin = pieces.emplace_back(size, memory).begin();
    bytes += size;
    for (std::size_t at = used; at > 0; at -= slot) free.push_back(begin + at - slot);
  }

  std::mutex mutex;
  std::map<std::size_t, std::vector<std::byte*>> free_slots;  // by slot size
  std::vector<Piece> pieces;
  SlotMemory memory;
  std::size_t bytes = 0;
};

SlotArena::SlotArena(SlotMemory memory) : pools_(std::make_shared<Pools>(memory)) {}

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
  return pools_->bytes;
}

}  // namespace striate
