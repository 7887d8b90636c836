// Memory for tensors that outlive many training steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>

namespace striate {

// What the slots are made of: mapped memory, or memory that a GPU reads by itself.
enum class SlotMemory { kMapped, kPinned };

// Slots of equal size in large pieces of mapped or pinned memory, apart from the heap: there, what stays for an epoch
// would lie between the activations that come and go with every step, and each step would find its holes a little too
// small. Tensors of one size share their pieces; a slot is free again when the last tensor on it goes. May be used from
// many threads. Tensors keep the memory alive, so the arena itself may go before them.
//
// A slot that is free may be filled at once. LibTorch knows nothing of slots: whoever has a pinned one copied to a GPU
// without waiting must hold its tensor until the copy is done.
class SlotArena {
 public:
  explicit SlotArena(SlotMemory memory = SlotMemory::kMapped);

  // A copy of x, dense and on the CPU. Throws ResourceError when there is no memory.
  at::Tensor copy(const at::Tensor& x);
  // Bytes of all pieces, in use or not.
  std::size_t bytes() const;

 private:
  struct Pools;
  std::shared_ptr<Pools> pools_;
};

}  // namespace striate
