// Attention of one sample in plain fp32 operators.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace striate::test::pretend {

// Which keys a query does not see; the last query stands at the last key.
struct Visibility {
  bool causal = false;
  std::int64_t left = -1;  // how far back a query sees; negative: to the beginning
  std::int64_t right = -1;
};
// [queries, keys] bool, true where hidden.
at::Tensor hidden_keys(std::int64_t queries, std::int64_t keys, const Visibility& visibility);

// q [heads, queries, d], k and v [kv_heads, keys, d], fp32; head h reads key-value head h / (heads / kv_heads).
struct SampleAttention {
  at::Tensor q, k, v;
  at::Tensor hidden;  // [queries, keys], or broadcast to [heads, queries, keys]
  double scale = 1;
};

struct AttentionOut {
  at::Tensor out;       // [heads, queries, d]
  at::Tensor log_sums;  // [heads, queries]
};
// Rows that see no key are zero, their log-sums infinite.
AttentionOut attend(const SampleAttention& sample);

struct AttentionGradients {
  at::Tensor dq, dk, dv;  // shaped as q, k, v
};
AttentionGradients attend_backward(const SampleAttention& sample, const at::Tensor& dout, const AttentionOut& forward);

}  // namespace striate::test::pretend
