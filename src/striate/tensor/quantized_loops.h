// The CPU's loops between fp32 and the fewer bits of quantized_matrix.h. Plain pointers and counts, one thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace striate {

// What 256 codes mean, as a table: e4m3 without a scale.
const float* fp8_values();

// Of row x: int8 codes or e4m3 bits, and the scale that gives x back. False where a value is not finite.
bool quantize_row_int8(const float* x, std::int64_t columns, std::int8_t* codes, float* scale);
bool quantize_row_fp8(const float* x, std::int64_t columns, std::uint8_t* codes, float* scale);
// Of at most nf4::kBlock elements: two codes a byte, the first in the upper half, and the largest absolute value.
bool quantize_block_nf4(const float* x, std::int64_t count, std::uint8_t* packed, float* largest);

void dequantize_int8(const std::int8_t* codes, std::int64_t count, float scale, float* y);
void dequantize_fp8(const std::uint8_t* codes, std::int64_t count, float scale, float* y);
struct Nf4Codes {
  const std::uint8_t* packed;
  const std::uint8_t* scales;  // of every block
  const float* levels;         // of the scales, 256
  float mean;
  const float* coarse;  // of every 256 blocks
};
// Elements [first, first + count) of a matrix, which may begin and end inside a byte or a block.
void dequantize_nf4(const Nf4Codes& codes, std::int64_t first, std::int64_t count, float* y);

}  // namespace striate
