// A picture that benchmarks decode and prepare in place of a photo.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "striate/image/image.h"

namespace striate::bench {

// Waves and grain, about as hard to compress as a photo; pictures of different seeds differ.
inline Image photo(int width, int height, int seed = 0) {
  Image image{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height * 3)};
  auto grain = static_cast<std::uint32_t>(seed + 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        grain = grain * 1664525U + 1013904223U;
        const double wave = 128 + 90 * std::sin((x + seed) * 0.011 * (c + 1)) * std::cos(y * 0.007 * (c + 1));
        image.rgb[(static_cast<std::size_t>(y) * width + x) * 3 + c] =
            static_cast<std::uint8_t>(wave + static_cast<int>(grain >> 28));
      }
    }
  }
  return image;
}

}  // namespace striate::bench
