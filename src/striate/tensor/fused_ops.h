// Elementwise and row operations of a decoder, each in one pass over memory.
//
// Tensors are fp32 or bf16; arithmetic is fp32 inside; results have the input's dtype. On the CPU they are vectorised
// loops over LibTorch's thread pool; elsewhere they are operators of their own (operators.h). No gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace striate {

// x [tokens, hidden], weight [hidden] fp32 -> x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich, arXiv
// 1910.07467).
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

// gate, up [tokens, mlp] (rows may be strided) -> silu(gate) * up, [tokens, mlp] contiguous.
at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up);

// Rotates x [tokens, heads, head_dim] (rows may be strided) in place by cos and sin [tokens, head_dim / 2] fp32: pairs
// (i, i + head_dim / 2), Hugging Face's rotate_half convention.
void rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);
// Turns back, which is the way of the gradient.
void rotate_heads_back(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

// x * sigmoid(1.702 x), CLIP's activation.
at::Tensor quick_gelu(const at::Tensor& x);

// a and b [rows, columns] of one dtype -> [rows, 3] double: the dot product of each row of a with that of b, and the
// squares of their norms. Sums are fp32 over at most 512 columns and double beyond. NaN and infinities go through.
at::Tensor row_products(const at::Tensor& a, const at::Tensor& b);

// The keys and values of one sequence, [kv_heads, capacity, head_dim] each, of which tokens [begin, end) count.
struct CachedTokens {
  at::Tensor keys, values;
  std::int64_t begin = 0, end = 0;
};

// One query for each of B sequences against its own keys and values: q [B, heads, head_dim] -> [B, heads, head_dim].
// Head h reads key-value head h / (heads / kv_heads).
at::Tensor decode_attention(const at::Tensor& q, std::span<const CachedTokens> sequences, double scale);

}  // namespace striate
