// ggml's q8_0: blocks of 32 numbers with one fp16 scale d = max|x| / 127, each number round(x / d) in a signed byte,
// halves away from zero. The same bytes as ggml's quantize_row_q8_0_ref and the gguf package.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace striate {

// The blocks of `values`, whose number must be a multiple of 32 and which must be finite.
std::vector<std::byte> quantize_q8_0(std::span<const float> values);

// The numbers in `blocks`, fp32, in `shape`.
at::Tensor dequantize_q8_0(std::span<const std::byte> blocks, std::span<const std::int64_t> shape);

}  // namespace striate
