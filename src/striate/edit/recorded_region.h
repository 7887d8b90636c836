// The region in which a model was tuned, as its folder records it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "striate/model/layer_set.h"

namespace striate {

// The region recorded by the newest tuning behind the model or the adapter in `folder`, as numbers of its decoder's
// `layers` layers now: what striate.json says of the folder itself, of an adapter merged into it, then of what it was
// made from; else what run.json says. Layers of the region that were removed since are left out. nullopt when no region
// is recorded (a model whose tuning was not Striate's, an aligned or pretrained one), or none of it is left.
// Throws CorruptData for a record that contradicts itself or the model's number of layers.
std::optional<LayerSet> recorded_region(const std::filesystem::path& folder, std::int64_t layers);

}  // namespace striate
