// Healing: short tuning of a pruned model. What is trained, and which of a teacher's layers is which of the model's.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "striate/model/load.h"
#include "striate/region/history.h"

namespace striate {

// Up to this share of the layers removed, training the projector alone is enough; beyond it layers must be tuned as
// well (reported for LLaVA-1.5-7B and Bunny-3B by arXiv 2507.20749).
inline constexpr double kProjectorAloneShare = 0.2;

// A pruned model, and perhaps the model it was cut from.
struct HealingPair {
  LayerOrigin model;
  std::vector<std::int64_t> teacher_layers;  // the teacher's layer for each of the model's; empty without a teacher

  std::int64_t layers() const { return static_cast<std::int64_t>(model.original.size()); }
  // Of the layers the model began with.
  double removed_share() const {
    return static_cast<double>(model.depth - layers()) / static_cast<double>(model.depth);
  }
};

// Reads both folders' configurations and histories. Throws InvalidInput when the teacher lacks a layer that the model
// kept, or no record says which layers the model kept and the depths differ; what opening throws.
HealingPair healing_pair(const ModelPaths& model, const std::optional<ModelPaths>& teacher);

}  // namespace striate
