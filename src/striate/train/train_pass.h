// Forward and backward of one packed stream, without an autograd graph: each layer knows its own backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "striate/model/packed_batch.h"
#include "striate/train/distillation.h"
#include "striate/train/tunable.h"

namespace striate {

// Activation checkpointing: what a layer's forward pass keeps for its backward pass.
enum class ActivationCheckpointing {
  kNone,   // everything the backward pass reads
  kMlp,    // all but the inner activations of the MLP, which are computed again
  kLayer,  // the input of the layer only; the whole layer is computed again
};

// Bytes of logits that a pass holds at once.
inline constexpr std::int64_t kLogitBytes = 32 << 20;

// What one stream gave.
struct PassResult {
  at::Tensor nll;  // [K] fp32 on the model's device: negative log-likelihood of each target, in the order of the batch
  // This stream's share of the step's distillation terms, not weighted: summed over the streams of a step on all ranks
  // they are the terms themselves. [] fp64 on the model's device; undefined where nothing is compared.
  at::Tensor hidden, kl;
};

// Hears how far a backward pass is: the gradients of decoder layer `layer` and above it are complete. First it is told
// the number of layers: those of the head and the last norm are.
using LayerPassed = std::function<void(std::int64_t layer)>;

// What sums over one stream are multiplied by, so that those of all streams of a step add up to means.
struct LossScale {
  double per_target = 0;
  double per_token = 0;  // read with a distillation alone
};

class TrainPass {
 public:
  // All that is given must outlive the pass; `distillation` may be null. Without `deterministic` a GPU may add up
  // gradients in another order every time.
  TrainPass(Tunable& tunable, ActivationCheckpointing checkpointing, const Distillation* distillation = nullptr,
            bool deterministic = true);
  // Adds the gradient of scale.per_target * (sum of nll) to every parameter's gradient, and with a distillation that of
  // its weighted terms. `step` keys the dropout masks, together with the seed and the batch's sample keys: a mask does
  // not depend on packing or ranks.
  PassResult run(const PackedBatch& batch, LossScale scale, std::int64_t step, const LayerPassed& passed = {});
  PassResult run(const PackedBatch& batch, double per_target, std::int64_t step, const LayerPassed& passed = {}) {
    return run(batch, LossScale{per_target, 0}, step, passed);
  }
  const Distillation* distillation() const { return distillation_; }

 private:
  Tunable* tunable_;
  ActivationCheckpointing checkpointing_;
  const Distillation* distillation_;
  bool deterministic_;
};

}  // namespace striate
