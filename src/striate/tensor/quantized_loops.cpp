#include "striate/tensor/quantized_loops.h"

#include <c10/util/Float8_e4m3fn.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "striate/tensor/nf4.h"

namespace striate {
namespace {

constexpr float kLargestInt8 = 127.0F;
constexpr float kLargestFp8 = 448.0F;  // of e4m3
constexpr float kWhole = 12582912.0F;  // 1.5 * 2^23: a small number added to it is rounded to a whole one, ties to even

// The largest absolute value; infinity or NaN where an element is. Without their signs, floats are ordered as integers.
float largest_of(const float* x, std::int64_t count) {
  std::int32_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, std::bit_cast<std::int32_t>(x[i]) & 0x7FFFFFFF);
  return std::bit_cast<float>(largest);
}

std::array<float, 256> make_fp8_values() {
  std::array<float, 256> values{};
  for (std::size_t bits = 0; bits < values.size(); ++bits) {
    values[bits] = c10::Float8_e4m3fn(static_cast<std::uint8_t>(bits), c10::Float8_e4m3fn::from_bits());
  }
  return values;
}

// Both levels of every byte, side by side.
struct LevelPair {
  float first, second;
};
constexpr std::array<LevelPair, 256> make_level_pairs() {
  std::array<LevelPair, 256> pairs{};
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) {
    pairs[byte] = {nf4::kLevels[byte >> 4], nf4::kLevels[byte & 15U]};
  }
  return pairs;
}
constexpr std::array<LevelPair, 256> kLevelPairs = make_level_pairs();

// The nearest e4m3, ties to even, of x between -464 and 464: both branches for every element, so that the compiler
// makes vectors of them.
std::uint8_t e4m3_bits(float x) {
  constexpr std::uint32_t kSmallestNormal = 0x3C800000;  // 2^-6; below it the values are multiples of 2^-9
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  const float steps = std::bit_cast<float>(magnitude) * 512.0F + kWhole;
  const std::uint32_t small = std::bit_cast<std::uint32_t>(steps) - std::bit_cast<std::uint32_t>(kWhole);
  const std::uint32_t normal = ((magnitude + 0x7FFFFU + (magnitude >> 20 & 1U)) >> 20) - (120U << 3);
  return static_cast<std::uint8_t>((bits >> 24 & 0x80U) | (magnitude < kSmallestNormal ? small : normal));
}

unsigned nearest_level(float x) {
  unsigned code = 0;
  for (const float bound : nf4::kBounds) code += x > bound ? 1U : 0U;
  return code;
}

}  // namespace

const float* fp8_values() {
  static const std::array<float, 256> values = make_fp8_values();
  return values.data();
}

bool quantize_row_int8(const float* x, std::int64_t columns, std::int8_t* codes, float* scale) {
  const float largest = largest_of(x, columns);
  if (!std::isfinite(largest)) return false;
  *scale = largest / kLargestInt8;
  const float divisor = *scale == 0.0F ? 1.0F : *scale;
  for (std::int64_t i = 0; i < columns; ++i) {
    const float code = x[i] / divisor + kWhole - kWhole;
    codes[i] = static_cast<std::int8_t>(std::clamp(code, -kLargestInt8, kLargestInt8));
  }
  return true;
}

bool quantize_row_fp8(const float* x, std::int64_t columns, std::uint8_t* codes, float* scale) {
  const float largest = largest_of(x, columns);
  if (!std::isfinite(largest)) return false;
  *scale = largest / kLargestFp8;
  const float divisor = *scale == 0.0F ? 1.0F : *scale;
  for (std::int64_t i = 0; i < columns; ++i) {
    codes[i] = e4m3_bits(x[i] / divisor);
  }
  return true;
}

bool quantize_block_nf4(const float* x, std::int64_t count, std::uint8_t* packed, float* largest) {
  *largest = largest_of(x, count);
  if (!std::isfinite(*largest)) return false;
  std::array<std::uint8_t, nf4::kBlock + 1> codes{};  // one more: the half of a byte that no element fills
  codes.fill(nf4::kZeroCode);
  const float inverse = 1.0F / *largest;
  if (*largest > 0.0F) {
    for (std::int64_t i = 0; i < count; ++i) {
      codes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(nearest_level(x[i] * inverse));
    }
  }
  for (std::int64_t i = 0; i < count; i += 2) {
    const auto at = static_cast<std::size_t>(i);
    packed[i / 2] = static_cast<std::uint8_t>(codes[at] << 4 | codes[at + 1]);
  }
  return true;
}

void dequantize_int8(const std::int8_t* codes, std::int64_t count, float scale, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(codes[i]) * scale;
}

void dequantize_fp8(const std::uint8_t* codes, std::int64_t count, float scale, float* y) {
  const float* values = fp8_values();
  for (std::int64_t i = 0; i < count; ++i) y[i] = values[codes[i]] * scale;
}

void dequantize_nf4(const Nf4Codes& codes, std::int64_t first, std::int64_t count, float* y) {
  const std::int64_t end = first + count;
  for (std::int64_t at = first; at < end;) {
    const std::int64_t block = at / nf4::kBlock;
    const std::int64_t stop = std::min(end, (block + 1) * nf4::kBlock);
    const float scale = codes.levels[codes.scales[block]] * codes.coarse[block / nf4::kScalesBlock] + codes.mean;
    float* out = y + (at - first);
    if (at % 2 != 0) {
      *out++ = kLevelPairs[codes.packed[at / 2]].second * scale;
      ++at;
    }
    for (; at + 1 < stop; at += 2, out += 2) {
      const LevelPair& pair = kLevelPairs[codes.packed[at / 2]];
      out[0] = pair.first * scale;
      out[1] = pair.second * scale;
    }
    if (at < stop) {
      *out = kLevelPairs[codes.packed[at / 2]].first * scale;
      ++at;
    }
  }
}

}  // namespace striate
