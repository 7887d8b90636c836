// How many pictures a vision tower looks at at once.
//
// Always the same number for a model and a machine: a picture's features, whose last bits may depend on it, are then
// the same whichever other pictures happen to be in the caches, and in a run that is resumed.
#pragma once

#include <cstdint>

#include "striate/model/config.h"
#include "striate/tensor/matrix.h"

namespace striate {

std::int64_t tower_batch_on_cpu(const VisionConfig& tower);
// As many as keep the tower's products busy, and take no more than a fiftieth of the GPU. `memory` in bytes: all of the
// GPU's, free or not.
std::int64_t tower_batch_on_gpu(const VisionConfig& tower, Compute compute, std::int64_t memory);

// The most bytes that a tower holds at once while it looks at `pictures` pictures, as VisionTower::forward() does; its
// weights are not counted. Attention takes no matrix of scores.
std::int64_t tower_bytes(const VisionConfig& tower, Compute compute, std::int64_t pictures);

}  // namespace striate
