// Random weights for checkpoints made from nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "striate/model/tensor_list.h"

namespace striate {

// Fills `out` (fp32, fp16 or bf16, contiguous, of the spec's shape) with the values of the tensor `spec.name` under
// `seed`: norm weights 1, biases 0, embeddings of standard deviation 0.02, linears of in^-1/2 (so that activations keep
// their scale), each value the sum of four uniforms, which is near enough to a normal. Rows from `used_rows` on are 0
// (vocabulary rows that no token has).
// A value depends on the seed, the name and its index alone: not on threads, dtype rounding aside not on the dtype.
void fill_random(at::Tensor& out, const TensorSpec& spec, std::uint64_t seed, std::int64_t used_rows);

}  // namespace striate
