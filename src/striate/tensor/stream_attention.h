// Causal attention over a packed stream, forward and backward: every sample attends only to itself.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace striate {

// Bounds as a GPU's attention takes them.
struct DeviceBounds {
  at::Tensor bounds;         // [S + 1] int32 on the device; undefined on the CPU
  std::int64_t longest = 0;  // from one to the next
};
// Made once for a stream, and shared by its layers.
DeviceBounds device_bounds(const std::vector<std::int64_t>& bounds, at::Device device);

// Where the samples of a stream begin (and where the last ends), and how far a query sees back.
struct StreamShape {
  std::vector<std::int64_t> bounds;    // [S + 1]
  std::optional<std::int64_t> window;  // query i sees keys i - window .. i
  // Where they are there, 16-bit heads on that device go through its flash attention.
  DeviceBounds on_device = {};
  bool deterministic = true;  // gradients have the same bits every time, on a GPU, too
};

// The query tokens of a stream, where the outputs of the other tokens are not needed.
struct StreamQueries {
  std::vector<std::int32_t> places;  // [Q]: the position of each query in its sample
  std::vector<std::int64_t> bounds;  // [S + 1]: where each sample's queries begin
  // As of StreamShape, and only where the queries of each sample are its last tokens: those alone suit flash attention.
  DeviceBounds on_device = {};
};
// `rows` [Q] int64 on the CPU: places in the stream, ascending. Throws Internal for others.
StreamQueries stream_queries(const at::Tensor& rows, const StreamShape& shape);
// `rows`, and every token of their samples after them: the fewest queries that suit flash attention. [Q] int64 on the
// CPU, ascending.
at::Tensor with_rest_of_samples(const at::Tensor& rows, const StreamShape& shape);

// Whether heads like these, [.., .., d], may go through a GPU's flash attention: 16-bit ones of at most 256 numbers, on
// compute capability 8.0 or later.
bool flash_takes(const at::Tensor& heads);

struct StreamAttentionResult {
  at::Tensor out;                         // [Q, heads, d]
  at::Tensor log_sums;                    // [heads, Q] fp32: log of the sum of exp(scores / sqrt(d))
  std::array<at::Tensor, 2> random = {};  // what flash attention's backward pass wants back
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

// Gradients of q, k and v, given the gradient of `forward.out`: the same bits every time.
StreamAttentionGradients stream_attention_gradients(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                                    const at::Tensor& v, const StreamAttentionResult& forward,
                                                    const StreamShape& shape, const StreamQueries* queries = nullptr);

}  // namespace striate
