// Pictures of scenes.
#pragma once

#include <cstdint>

#include "striate/image/image.h"
#include "striate/mini/scene.h"

namespace striate::mini {

inline constexpr int kCellPixels = 16;

// `scene` on a dark background of a colour of its own, kCellPixels per cell: shapes are moved by a few pixels inside
// their cell (small ones up to 3, large ones 1, labels 2 across and 3 down), colours vary a little, pixels are noisy
// (sigma 0.02). Everything that varies is a function of (seed, index).
Image render_scene(const Scene& scene, std::uint64_t seed, std::uint64_t index);

}  // namespace striate::mini
