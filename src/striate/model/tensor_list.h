// The tensors that a model of a given configuration has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/model/config.h"

namespace striate {

enum class Part { kVisionTower, kProjector, kDecoder };

struct TensorSpec {
  std::string name;  // canonical (name_map.h)
  std::vector<std::int64_t> shape;
  Part part;
  std::int64_t layer;  // of its part's layers; -1 outside them

  std::int64_t numel() const;
};

// Every tensor of the model in the order of its parts: decoder (embedding, layers, norm, head unless tied), vision
// tower (all layers and the post-norm, as published), projector.
std::vector<TensorSpec> expected_tensors(const ModelConfig& config);

}  // namespace striate
