// Products of e4m3 weights and inputs in hardware.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "striate/tensor/quantized_matrix.h"

namespace striate {

// Whether a device has units for e4m3: GPUs of compute capability 8.9 and later.
bool has_fp8_units(at::Device device);
// Whether they multiply a weight [out, in]: its widths are multiples of 16.
bool fits_fp8_units(std::int64_t out, std::int64_t in);

// Whether LibTorch multiplies these as they are: bf16 rows on a GPU with such units, and widths that suit them. Never
// on the CPU, where its product of e4m3 is several times slower than one of the widened weights.
bool multiplies_fp8(const at::Tensor& rows, const QuantizedMatrix& weight);

// rows [tokens, in] bf16, rounded to e4m3 with a scale for each -> [tokens, out] bf16; `bias` [out] or undefined.
at::Tensor fp8_product(const at::Tensor& rows, const QuantizedMatrix& weight, const at::Tensor& bias);

}  // namespace striate
