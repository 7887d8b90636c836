// The whole model: vision tower, projector, decoder.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "striate/model/config.h"
#include "striate/model/decoder.h"
#include "striate/model/packed_batch.h"
#include "striate/model/projector.h"
#include "striate/model/vision_tower.h"

namespace striate {

// A large vision-language model, or a language model alone. Nothing in it records gradients.
class Lvlm {
 public:
  Lvlm(ModelConfig config, const WeightSource& weights, const Placement& placement);

  // The same model without some decoder layers: the others move down and are renumbered, and config() says how many
  // there are. Weights (and adapters on the layers that stay) are shared with this one, not copied. Throws Internal for
  // layers it does not have, or when none would be left.
  Lvlm without_layers(const LayerSet& removed) const;

  // pixels [images, 3, S, S] fp32 -> [images, P, vision_hidden]. Throws InvalidInput for a language model alone.
  at::Tensor vision_features(const at::Tensor& pixels) const;
  // features [M, vision_hidden] -> [M, hidden].
  at::Tensor project(const at::Tensor& features) const;
  // The decoder's input for a stream: token embeddings, and projected image rows at the image slots. [N, hidden].
  at::Tensor embed(const PackedBatch& batch) const;
  // The residual stream after the last layer, before the final norm. [N, hidden].
  at::Tensor forward(const PackedBatch& batch, Attention& attention, const StreamObserver& observer = {}) const;
  // The same with each sample attending to itself.
  at::Tensor forward(const PackedBatch& batch, const StreamObserver& observer = {}) const;
  // Rows of the residual stream -> logits. [K, hidden] -> [K, vocab] fp32.
  at::Tensor logits(const at::Tensor& rows) const;
  // Negative log-likelihood of each target, [K] fp32, computed in chunks so that no [N, vocab] matrix exists.
  at::Tensor target_nll(const at::Tensor& stream, const PackedBatch& batch) const;

  const ModelConfig& config() const { return config_; }
  const Placement& placement() const { return placement_; }
  // Null for a language model alone.
  const Projector* projector() const { return projector_ ? &*projector_ : nullptr; }
  Projector* projector() { return projector_ ? &*projector_ : nullptr; }
  const VisionTower* tower() const { return tower_ ? &*tower_ : nullptr; }
  VisionTower* tower() { return tower_ ? &*tower_ : nullptr; }
  Decoder& decoder() { return decoder_; }
  const Decoder& decoder() const { return decoder_; }

 private:
  ModelConfig config_;
  Placement placement_;
  std::optional<VisionTower> tower_;
  std::optional<Projector> projector_;
  Decoder decoder_;
};

}  // namespace striate
