#include "tests/support/pretend_device/attention_reference.h"

#include <ATen/ATen.h>

#include <limits>

namespace striate::test::pretend {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

std::int64_t group_of(const SampleAttention& sample) {
  return sample.q.size(0) / sample.k.size(0);
}

at::Tensor for_every_head(const at::Tensor& x, const SampleAttention& sample) {
  return x.repeat_interleave(group_of(sample), 0);
}

// [heads, queries, keys] of probabilities, from scores and their log-sums.
at::Tensor probabilities(const SampleAttention& sample, const at::Tensor& log_sums) {
  const at::Tensor keys = for_every_head(sample.k, sample);
  const at::Tensor scores = at::matmul(sample.q, keys.transpose(1, 2)) * sample.scale;
  return (scores - log_sums.unsqueeze(-1)).exp().masked_fill(sample.hidden, 0.0);
}

}  // namespace

at::Tensor hidden_keys(std::int64_t queries, std::int64_t keys, const Visibility& visibility) {
  const at::Tensor query = at::arange(queries).unsqueeze(1) + (keys - queries);
  const at::Tensor key = at::arange(keys).unsqueeze(0);
  const std::int64_t right = visibility.causal ? 0 : visibility.right;
  at::Tensor hidden = at::zeros({queries, keys}, at::kBool);
  if (right >= 0) hidden = hidden.logical_or(key.gt(query + right));
  if (visibility.left >= 0) hidden = hidden.logical_or(key.lt(query - visibility.left));
  return hidden;
}

AttentionOut attend(const SampleAttention& sample) {
  const at::Tensor keys = for_every_head(sample.k, sample);
  const at::Tensor scores =
      (at::matmul(sample.q, keys.transpose(1, 2)) * sample.scale).masked_fill(sample.hidden, -kNever);
  at::Tensor log_sums = at::logsumexp(scores, -1);
  log_sums = log_sums.masked_fill(log_sums.eq(-kNever), kNever);
  return {at::matmul(probabilities(sample, log_sums), for_every_head(sample.v, sample)), log_sums};
}

AttentionGradients attend_backward(const SampleAttention& sample, const at::Tensor& dout, const AttentionOut& forward) {
  const at::Tensor p = probabilities(sample, forward.log_sums);
  const at::Tensor values = for_every_head(sample.v, sample);
  const at::Tensor along = (dout * forward.out).sum(-1, /*keepdim=*/true);
  const at::Tensor ds = p * (at::matmul(dout, values.transpose(1, 2)) - along) * sample.scale;
  const auto summed_over_group = [&](const at::Tensor& x) {
    return x.unflatten(0, {sample.k.size(0), group_of(sample)}).sum(1);
  };
  return {at::matmul(ds, for_every_head(sample.k, sample)), summed_over_group(at::matmul(ds.transpose(1, 2), sample.q)),
          summed_over_group(at::matmul(p.transpose(1, 2), dout))};
}

}  // namespace striate::test::pretend
