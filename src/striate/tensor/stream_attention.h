// Causal attention over a packed stream, forward and backward: every sample attends only to itself.
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

// The query tokens of a stream, where the outputs of the other tokens are not needed.
struct StreamQueries {
  std::vector<std::int32_t> places;  // [Q]: the position of each query in its sample
  std::vector<std::int64_t> bounds;  // [S + 1]: where each sample's queries begin
};
// `rows` [Q] int64 on the CPU: places in the stream, ascending. Throws Internal for others.
StreamQueries stream_queries(const at::Tensor& rows, const StreamShape& shape);

struct StreamAttentionResult {
  at::Tensor out;       // [Q, heads, d]
  at::Tensor log_sums;  // [heads, Q] fp32: log of the sum of exp(scores / sqrt(d))
};

// q [Q, heads, d] of the tokens in `queries`, of all of them (Q = N) where that is null; k and v [N, kv_heads, d], of
// q's dtype (rows may be strided). Head h reads key-value head h / (heads / kv_heads). Softmax is fp32 inside.
StreamAttentionResult stream_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const StreamShape& shape, const StreamQueries* queries = nullptr);

struct StreamAttentionGradients {
  at::Tensor dq;  // [Q, heads, d]
  at::Tensor dk;  // [N, kv_heads, d]
  at::Tensor dv;
};

// Gradients of q, k and v, given the gradient of `forward.out`.
StreamAttentionGradients stream_attention_gradients(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                                    const at::Tensor& v, const StreamAttentionResult& forward,
                                                    const StreamShape& shape, const StreamQueries* queries = nullptr);

}  // namespace striate
