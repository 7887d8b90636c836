// Vision towers: CLIP ViT and SigLIP, up to the hidden state the projector reads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "striate/model/config.h"
#include "striate/model/placement.h"
#include "striate/model/weight_source.h"

namespace striate {

// A tower's tensors by canonical name (vision.encoder.layers.0.mlp.fc1.weight), in the shapes they are published in.
using TowerWeights = std::map<std::string, at::Tensor>;

class TowerOperators;

// A vision transformer. Layers after the feature layer are never loaded.
class VisionTower {
 public:
  VisionTower(const WeightSource& weights, const VisionConfig& config, const Placement& placement);

  // pixels [images, channels, S, S] fp32, normalised -> [images, tokens, hidden] in the compute type: the hidden state
  // of the feature layer, without CLIP's class row (unless the config keeps it), without the post-norm.
  // Throws InvalidInput when the pixels are of another size.
  at::Tensor forward(const at::Tensor& pixels) const;
  // The same for training: through operators that LibTorch's autograd follows, on `weights` instead of the tower's own.
  at::Tensor train_forward(const TowerWeights& weights, const at::Tensor& pixels) const;

  const VisionConfig& config() const { return config_; }
  const TowerWeights& weights() const { return weights_; }
  // Puts a tensor of the same shape in the place of `name`: what is later written into it, the tower computes with.
  void replace_weight(const std::string& name, at::Tensor value);

 private:
  void load(const WeightSource& source, const std::string& name, const std::vector<std::int64_t>& shape);
  at::Tensor run(const TowerOperators& use, const at::Tensor& pixels) const;
  at::Tensor normalise(const TowerOperators& use, const std::string& name, const at::Tensor& x) const;
  at::Tensor embed(const TowerOperators& use, const at::Tensor& pixels) const;
  at::Tensor attend(const TowerOperators& use, const std::string& prefix, const at::Tensor& x,
                    std::int64_t images) const;
  at::Tensor activate(const TowerOperators& use, const at::Tensor& x) const;

  VisionConfig config_;
  Placement placement_;
  TowerWeights weights_;
};

}  // namespace striate
