#include "striate/tensor/nf4.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace striate::nf4 {
namespace {

constexpr int kDecades = 7;

std::array<float, 256> make_scale_levels() {
  // As fp32 holds the powers of ten.
  constexpr std::array<float, kDecades> kDecade = {1e-6F, 1e-5F, 1e-4F, 1e-3F, 1e-2F, 1e-1F, 1.0F};
  std::array<float, 256> levels{};
  std::size_t count = 0;
  for (int decade = 0; decade < kDecades; ++decade) {
    // The middles of 2^decade equal parts of [0.1, 1], from their ends in fp32, each rounded once.
    const int parts = 1 << decade;
    const float step = (1.0F - 0.1F) / static_cast<float>(parts);
    const auto end = [parts, step](int i) {  // from whichever of 0.1 and 1 is nearer
      return i < (parts + 1) / 2 ? std::fma(step, static_cast<float>(i), 0.1F)
                                 : std::fma(-step, static_cast<float>(parts - i), 1.0F);
    };
    for (int i = 0; i < parts; ++i) {
      const float middle = (end(i) + end(i + 1)) / 2.0F;
      levels[count++] = kDecade[static_cast<std::size_t>(decade)] * middle;
      levels[count++] = -kDecade[static_cast<std::size_t>(decade)] * middle;
    }
  }
  levels[count++] = 0.0F;
  levels[count++] = 1.0F;
  std::sort(levels.begin(), levels.end());
  return levels;
}

}  // namespace

const std::array<float, 256>& scale_levels() {
  static const std::array<float, 256> levels = make_scale_levels();
  return levels;
}

std::uint8_t nearest_scale_level(float x) {
  const std::array<float, 256>& levels = scale_levels();
  const auto above = std::lower_bound(levels.begin(), levels.end(), x);
  if (above == levels.begin()) return 0;
  if (above == levels.end()) return 255;
  const bool lower = x - *(above - 1) <= *above - x;
  return static_cast<std::uint8_t>(above - levels.begin() - (lower ? 1 : 0));
}

}  // namespace striate::nf4
