// The numbers of 4-bit NormalFloat with double quantisation (Dettmers et al., "QLoRA", arXiv 2305.14314), as
// bitsandbytes, the authors' library, has them.
//
// A matrix is a row of elements in blocks of 64. A block's elements are divided by the largest absolute value among
// them and become the nearest of 16 levels. These largest values, less their mean, are quantised in turn: in blocks of
// 256 they are divided by the largest absolute value and become the nearest of 256 levels.
#pragma once

#include <array>
#include <cstdint>

namespace striate::nf4 {

inline constexpr std::int64_t kBlock = 64;
inline constexpr std::int64_t kScalesBlock = 256;  // blocks whose largest values are quantised together

// Quantiles of the normal distribution, with an exact zero (the paper's appendix E).
inline constexpr std::array<float, 16> kLevels = {
    -1.0F,
    -0.6961928009986877F,
    -0.5250730514526367F,
    -0.39491748809814453F,
    -0.28444138169288635F,
    -0.18477343022823334F,
    -0.09105003625154495F,
    0.0F,
    0.07958029955625534F,
    0.16093020141124725F,
    0.24611230194568634F,
    0.33791524171829224F,
    0.44070982933044434F,
    0.5626170039176941F,
    0.7229568362236023F,
    1.0F,
};
inline constexpr std::uint8_t kZeroCode = 7;

// A value above bound i is nearer to level i + 1 than to level i.
constexpr std::array<float, 15> bounds_of_levels() {
  std::array<float, 15> bounds{};
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    bounds[i] = static_cast<float>((static_cast<double>(kLevels[i]) + static_cast<double>(kLevels[i + 1])) / 2.0);
  }
  return bounds;
}
inline constexpr std::array<float, 15> kBounds = bounds_of_levels();

// The levels of the blocks' largest values, ascending: bitsandbytes' dynamic 8-bit map. Seven decades, each with twice
// as many evenly spaced levels as the one below, of both signs; 0; and 1.
const std::array<float, 256>& scale_levels();
// The nearest of them to a value in [-1, 1].
std::uint8_t nearest_scale_level(float x);

}  // namespace striate::nf4
