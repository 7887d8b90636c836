// Forward and backward of one packed stream, without an autograd graph: each layer knows its own backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "striate/model/packed_batch.h"
#include "striate/train/tunable.h"

namespace striate {

// What a layer's forward pass leaves for its backward pass.
enum class ActivationPolicy {
  kKeep,            // everything the backward pass reads
  kRecomputeMlp,    // all but the MLP's inner activations, which are computed again
  kRecomputeLayer,  // the layer's input alone; the whole layer is computed again
};

// What one stream gave.
struct PassResult {
  at::Tensor nll;  // [K] fp32 on the CPU: negative log-likelihood of each target, in the order of the batch
};

class TrainPass {
 public:
  TrainPass(Tunable& tunable, ActivationPolicy policy);
  // Adds gradient_scale * d(sum of nll)/d(parameter) to every parameter's gradient. `step` keys the dropout masks,
  // together with the seed and the batch's sample keys: a mask does not depend on packing or ranks.
  PassResult run(const PackedBatch& batch, double gradient_scale, std::int64_t step);

 private:
  Tunable* tunable_;
  ActivationPolicy policy_;
};

}  // namespace striate
