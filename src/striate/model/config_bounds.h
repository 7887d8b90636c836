// Bounds far above any model in use: a configuration beyond them is damaged, and is refused before anything of such a
// size is allocated or counted.
#pragma once

#include <cstdint>

namespace striate {

inline constexpr std::int64_t kMostLayers = 512;         // of a decoder, of a vision tower
inline constexpr std::int64_t kMostWidth = 1 << 20;      // of a residual stream, inside an MLP
inline constexpr std::int64_t kMostHeads = 4096;         // of attention
inline constexpr std::int64_t kMostPatches = 1 << 16;    // of one picture
inline constexpr std::int64_t kMostPositions = 1 << 24;  // tokens of one text
inline constexpr std::int64_t kMostTokenId = 1 << 24;    // and of tokens in a vocabulary
inline constexpr double kMostTheta = 1e12;               // base of the rotary frequencies
// Below the first, a norm may divide by zero; above the second, nothing is left of what it normalises.
inline constexpr double kLeastNormEps = 1e-20;
inline constexpr double kMostNormEps = 0.1;

}  // namespace striate
