// Products of e4m3 weights and inputs in hardware.
#pragma once

#include <ATen/core/Tensor.h>

#include "striate/tensor/quantized_matrix.h"

namespace striate {

// Whether LibTorch multiplies these as they are: bf16 rows on a GPU with units for e4m3 (compute capability 8.9 and
// later), and widths that are multiples of 16. Never on the CPU, where its product of e4m3 is several times slower than
// one of the widened weights.
bool multiplies_fp8(const at::Tensor& rows, const QuantizedMatrix& weight);

// rows [tokens, in] bf16, rounded to e4m3 with a scale for each -> [tokens, out] bf16; `bias` [out] or undefined.
at::Tensor fp8_product(const at::Tensor& rows, const QuantizedMatrix& weight, const at::Tensor& bias);

}  // namespace striate
