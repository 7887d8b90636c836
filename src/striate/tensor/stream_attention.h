// Causal attention over a packed stream, forward and backward: every sample sees itself alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace striate {

// Where the samples of a stream begin (and where the last ends), and how far a query sees back.
struct StreamShape {
  std::vector<std::int64_t> bounds;    // [S + 1]
  std::optional<std::int64_t> window;  // query i sees keys i - window .. i
};

struct StreamAttentionResult {
  at::Tensor out;       // [N, heads, d]
  at::Tensor log_sums;  // [heads, N] fp32: log of the sum of exp(scores / sqrt(d))
};

// q [N, heads, d], k and v [N, kv_heads, d] of one dtype (rows may be strided); head h reads key-value head
// h / (heads / kv_heads). Softmax is fp32 inside.
StreamAttentionResult stream_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const StreamShape& shape);

struct StreamAttentionGradients {
  at::Tensor dq;  // [N, heads, d]
  at::Tensor dk;  // [N, kv_heads, d]
  at::Tensor dv;
};

// Gradients given that of `forward.out`.
StreamAttentionGradients stream_attention_gradients(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                                    const at::Tensor& v, const StreamAttentionResult& forward,
                                                    const StreamShape& shape);

}  // namespace striate
