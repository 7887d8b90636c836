// Random weights for checkpoints made from nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "striate/model/tensor_list.h"

namespace striate {

// How large the weights of the decoder begin.
struct WeightScale {
  double embedding_std = 0.02;  // of the token embedding
  double residual = 1;          // factor of o_proj and down_proj, whose outputs are added to the stream
};

// Fills `out` (fp32, fp16 or bf16, contiguous, of the spec's shape) with the values of the tensor `spec.name` under
// `seed`: norm weights 1, biases 0, embeddings of standard deviation 0.02, linears of in^-1/2 (so that activations keep
// their scale), but for what `scale` says; each value the sum of four uniforms, which is near enough to a normal. Rows
// from `used_rows` on are 0 (vocabulary rows that no token has). A value depends on the seed, the name and its index
// alone: not on threads, dtype rounding aside not on the dtype.
void fill_random(at::Tensor& out, const TensorSpec& spec, std::uint64_t seed, std::int64_t used_rows,
                 const WeightScale& scale = {});

}  // namespace striate
