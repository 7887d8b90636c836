// Memory for tensors that outlive many training steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace striate {

// Slots of equal size in large pieces of mapped memory, apart from the heap: there, what stays for an epoch would lie
// between the activations that come and go with every step, and each step would find its holes a little too small.
// Tensors of one size share their pieces; a slot is free again when the last tensor on it goes. May be used from many
// threads. Tensors keep the memory alive, so the arena itself may go before them.
class SlotArena {
 public:
  SlotArena();

  // A copy of x, dense and on the CPU. Throws ResourceError when there is no memory.
  at::Tensor copy(const at::Tensor& x);
  // Bytes that are mapped, in use or not.
  std::size_t bytes() const;

 private:
  struct Pools;
  std::shared_ptr<Pools> pools_;
};

}  // namespace striate
