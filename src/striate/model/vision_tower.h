// Vision towers: CLIP ViT and SigLIP, up to the hidden state the projector reads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "striate/model/config.h"
#include "striate/model/linear.h"
#include "striate/model/placement.h"
#include "striate/model/weight_source.h"

namespace striate {

// A vision transformer, frozen. Layers after the feature layer are never loaded.
class VisionTower {
 public:
  VisionTower(const WeightSource& weights, const VisionConfig& config, const Placement& placement);

  // pixels [images, channels, S, S] fp32, normalised -> [images, tokens, hidden] in the compute type: the hidden state
  // of the feature layer, without CLIP's class row (unless the config keeps it), without the post-norm.
  // Throws InvalidInput when the pixels are of another size.
  at::Tensor forward(const at::Tensor& pixels) const;

  const VisionConfig& config() const { return config_; }

 private:
  struct Norm {
    at::Tensor weight;  // [hidden] fp32
    at::Tensor bias;
  };
  struct Layer {
    Norm norm1, norm2;
    FrozenLinear q, k, v, out, fc1, fc2;
  };

  Layer load_layer(const WeightSource& weights, std::int64_t index) const;
  FrozenLinear load_linear(const WeightSource& weights, const std::string& name, std::int64_t out,
                           std::int64_t in) const;
  Norm load_norm(const WeightSource& weights, const std::string& name) const;
  at::Tensor embed(const at::Tensor& pixels) const;
  at::Tensor normalise(const at::Tensor& x, const Norm& norm) const;
  at::Tensor attend(const Layer& layer, const at::Tensor& x, std::int64_t images) const;
  at::Tensor activate(const at::Tensor& x) const;

  VisionConfig config_;
  Placement placement_;
  FrozenMatrix patch_;      // [hidden, channels * patch * patch]
  at::Tensor class_token_;  // [hidden], CLIP only
  at::Tensor positions_;    // [tokens (+ class), hidden]
  Norm pre_norm_;           // CLIP only
  std::vector<Layer> layers_;
};

}  // namespace striate
