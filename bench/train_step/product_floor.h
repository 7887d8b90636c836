// The matrix products that no program which trains a region can leave out, alone: what a training step is held against.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/train_step/stopwatch.h"
#include "striate/model/load.h"

namespace striate::bench {

// The frozen forward product of every linear of the decoder, the input gradient of those that a backward pass goes
// through, and the head at the targets with its input gradient; nothing in between, no adapters. LibTorch's own
// linear and mm, on the model's weights converted to the compute type beforehand.
class ProductFloor {
 public:
  // Gradients reach `lowest_trained`, a layer, and no further; nullopt: they reach the decoder's input.
  ProductFloor(const Checkpoint& checkpoint, const Placement& placement, std::optional<std::int64_t> lowest_trained);

  // One step of so many tokens (nothing padded) and targets, with LibTorch's present number of threads.
  Stopwatch::Seconds time(std::int64_t tokens, std::int64_t targets) const;

 private:
  // Activations and gradients that enter the products, by width: what they hold does not matter.
  at::Tensor rows(std::int64_t count, std::int64_t width) const;

  std::vector<at::Tensor> forward_;   // weights [out, in] of every linear
  std::vector<at::Tensor> backward_;  // those that gradients go through
  at::Tensor head_;                   // [vocab, hidden]
};

}  // namespace striate::bench
