// The reference of CUDA's attention over packed streams: its numbers, its gradients, its refusals.
#include <ATen/ATen.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/pretend_device/pretend_device.h"

namespace striate::test {
namespace {

using testing::HasSubstr;

// Three samples, the second of which asks nothing.
struct PackedHeads {
  at::Tensor q, k, v, query_bounds, key_bounds;
  std::int64_t most_queries = 4;
  std::int64_t most_keys = 5;
  std::optional<c10::SymInt> window = std::nullopt;

  auto forward() const {
    return at::_flash_attention_forward_symint(q, k, v, query_bounds, key_bounds, most_queries, most_keys, 0.0,
                                               /*is_causal=*/true, /*return_debug_mask=*/false, std::nullopt, window);
  }
};

at::Tensor on_device(const at::Tensor& x) {
  return x.to(pretend_device());
}

PackedHeads packed_heads(at::ScalarType type = at::kBFloat16) {
  return {on_device(at::randn({7, 4, 8}).to(type)), on_device(at::randn({12, 2, 8}).to(type)),
          on_device(at::randn({12, 2, 8}).to(type)), on_device(at::tensor({0, 4, 4, 7}, at::kInt)),
          on_device(at::tensor({0, 5, 8, 12}, at::kInt))};
}

// One sample with LibTorch's own attention, the mask written out: [queries, heads, d] fp32.
at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t window) {
  const std::int64_t queries = q.size(0);
  const std::int64_t keys = k.size(0);
  at::Tensor seen = at::ones({queries, keys}, at::kBool).tril(keys - queries);
  if (window >= 0) seen = seen.logical_and(at::ones({queries, keys}, at::kBool).triu(keys - queries - window));
  const auto heads = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  return at::scaled_dot_product_attention(heads(q), heads(k), heads(v), seen, 0.0, false, std::nullopt, true)
      .squeeze(0)
      .transpose(0, 1);
}

at::Tensor sample(const at::Tensor& x, std::int64_t begin, std::int64_t end) {
  return x.cpu().to(at::kFloat).slice(0, begin, end).requires_grad_();
}

// By the window; -1: none.
class FlashReference : public testing::TestWithParam<std::int64_t> {};

TEST_P(FlashReference, IsAttentionOfEverySampleForwardAndBack) {
  PackedHeads heads = packed_heads();
  if (GetParam() >= 0) heads.window = GetParam();
  const auto [out, log_sums, rng, unused, debug] = heads.forward();
  const at::Tensor dout = on_device(at::randn({7, 4, 8}).to(at::kBFloat16));
  const auto [dq, dk, dv] = at::_flash_attention_backward_symint(
      dout, heads.q, heads.k, heads.v, out, log_sums, heads.query_bounds, heads.key_bounds, heads.most_queries,
      heads.most_keys, 0.0, true, rng, unused, std::nullopt, heads.window);
  const std::vector<std::array<std::int64_t, 4>> samples = {{0, 4, 0, 5}, {4, 7, 8, 12}};
  for (const auto& [first, last, begin, end] : samples) {
    const at::Tensor q = sample(heads.q, first, last);
    const at::Tensor k = sample(heads.k, begin, end);
    const at::Tensor v = sample(heads.v, begin, end);
    const at::Tensor want = plain_attention(q, k, v, GetParam());
    EXPECT_TRUE(at::allclose(out.cpu().to(at::kFloat).slice(0, first, last), want.detach(), 0.02, 0.02));
    (want * dout.cpu().to(at::kFloat).slice(0, first, last)).sum().backward();
    EXPECT_TRUE(at::allclose(dq.cpu().to(at::kFloat).slice(0, first, last), q.grad(), 0.05, 0.05));
    EXPECT_TRUE(at::allclose(dk.cpu().to(at::kFloat).slice(0, begin, end), k.grad(), 0.05, 0.05));
    EXPECT_TRUE(at::allclose(dv.cpu().to(at::kFloat).slice(0, begin, end), v.grad(), 0.05, 0.05));
  }
  EXPECT_TRUE(dk.cpu().slice(0, 5, 8).eq(0).all().item<bool>()) << "a sample that asks nothing";
}
INSTANTIATE_TEST_SUITE_P(Windows, FlashReference, testing::Values(-1, 0, 2));

TEST(FlashReference, RefusesWhatCudaRefuses) {
  const auto refusal = [](const std::function<void(PackedHeads&)>& change) -> std::string {
    PackedHeads heads = packed_heads();
    change(heads);
    try {
      heads.forward();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal([](PackedHeads&) {}), "");
  EXPECT_THAT(refusal([](PackedHeads& h) { h = packed_heads(at::kFloat); }), HasSubstr("only support fp16 and bf16"));
  EXPECT_THAT(refusal([](PackedHeads& h) { h.v = h.v.to(at::kHalf); }), HasSubstr("same dtype"));
  EXPECT_THAT(refusal([](PackedHeads& h) { h.q = h.q.transpose(1, 2).contiguous().transpose(1, 2); }),
              HasSubstr("contiguous last dimension"));
  EXPECT_THAT(refusal([](PackedHeads& h) { h.q = h.q.slice(2, 0, 7); }), HasSubstr("multiple of 8"));
  EXPECT_THAT(refusal([](PackedHeads& h) { h.q = h.q.slice(1, 0, 3); }), HasSubstr("must divide"));
  EXPECT_THAT(refusal([](PackedHeads& h) { h.key_bounds = h.key_bounds.to(at::kLong); }), HasSubstr("int32"));
  EXPECT_THAT(refusal([](PackedHeads& h) { h.key_bounds = h.key_bounds.cpu(); }), HasSubstr("must be on CUDA"));
  EXPECT_THAT(refusal([](PackedHeads& h) { h.most_keys = 4; }), HasSubstr("max_seqlen"));
  EXPECT_THAT(refusal([](PackedHeads& h) { h.k = h.k.slice(0, 0, 11); }), HasSubstr("do not end"));
}

}  // namespace
}  // namespace striate::test
