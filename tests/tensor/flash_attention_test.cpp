// Attention on another device goes through one call per pass, and gives what the CPU's loops give. On the pretend
// device, or the one that tests run on.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "striate/tensor/stream_attention.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/test_device.h"

namespace striate::test {
namespace {

struct FlashCase {
  const char* name;
  std::int64_t heads, kv_heads, dim;
  std::vector<std::int64_t> bounds;
  std::optional<std::int64_t> window;
  std::vector<std::int64_t> asking = {};  // rows of the queries; empty: all
};

const std::vector<FlashCase>& flash_cases() {
  static const std::vector<FlashCase> all = {
      {"Samples", 4, 4, 32, {0, 5, 77, 78, 150}, std::nullopt},
      {"GroupedHeads", 6, 2, 96, {0, 61, 61, 100}, std::nullopt},
      {"Window", 2, 1, 80, {0, 130}, 7},
      {"RestOfSamples", 4, 2, 16, {0, 40, 50, 90}, std::nullopt, {30, 33, 85}},
      {"RestOfSamplesWithAWindow", 4, 2, 16, {0, 40, 50, 90}, 9, {30, 33, 85}},
      {"OneQueryOfSomeSamples", 4, 2, 16, {0, 40, 50, 90}, std::nullopt, {39, 89}},
  };
  return all;
}

class FlashAttention : public testing::TestWithParam<std::size_t> {
 protected:
  const FlashCase& c() const { return flash_cases()[GetParam()]; }
  at::Tensor heads(std::int64_t tokens, std::int64_t count, std::uint64_t seed) const {
    at::Generator generator = at::detail::createCPUGenerator(seed);
    return at::empty({tokens, count, c().dim}).normal_(0.0, 1.0, generator).to(at::kBFloat16);
  }
};

void expect_near(const at::Tensor& got, const at::Tensor& want, const char* what) {
  const at::Tensor g = got.cpu().to(at::kFloat);
  const at::Tensor w = want.to(at::kFloat);
  ASSERT_EQ(g.sizes(), w.sizes()) << what;
  EXPECT_LE(((g - w).norm() / w.norm()).item<double>(), 0.01) << what;
}

TEST_P(FlashAttention, GivesWhatTheCpusLoopsGive) {
  StreamShape shape{c().bounds, c().window};
  const std::int64_t n = c().bounds.back();
  std::optional<StreamQueries> queries;
  std::int64_t asking = n;
  if (!c().asking.empty()) {
    const at::Tensor rows = with_rest_of_samples(at::tensor(c().asking, at::kLong), shape);
    asking = rows.size(0);
    queries = stream_queries(rows, shape);
  }
  const StreamQueries* chosen = queries ? &*queries : nullptr;
  const at::Tensor q = heads(asking, c().heads, 1), k = heads(n, c().kv_heads, 2), v = heads(n, c().kv_heads, 3);
  const at::Tensor dout = heads(asking, c().heads, 4);
  const StreamAttentionResult want = stream_attention(q, k, v, shape, chosen);
  const StreamAttentionGradients gradients = stream_attention_gradients(dout, q, k, v, want, shape, chosen);

  const at::Device device = other_device();
  shape.on_device = device_bounds(shape.bounds, device);
  if (queries) queries->on_device = device_bounds(queries->bounds, device);
  const at::Tensor q2 = q.to(device), k2 = k.to(device), v2 = v.to(device), dout2 = dout.to(device);
  StreamAttentionResult got;
  StreamAttentionGradients got_gradients;
  const std::string section = std::string("flash ") + c().name;
  {
    const CountedSection counted(section);
    got = stream_attention(q2, k2, v2, shape, chosen);
    got_gradients = stream_attention_gradients(dout2, q2, k2, v2, got, shape, chosen);
  }
  expect_near(got.out, want.out, "out");
  expect_near(got.log_sums, want.log_sums, "log sums");
  expect_near(got_gradients.dq, gradients.dq, "dq");
  expect_near(got_gradients.dk, gradients.dk, "dk");
  expect_near(got_gradients.dv, gradients.dv, "dv");
  if (device.is_cuda()) return;
  const DeviceCounts counts = counts_of(section);
  EXPECT_EQ(counts.launches, 2);
  EXPECT_EQ(counts.waits, 0);
  EXPECT_EQ(counts.to_device.copies, 0) << "bounds went up before";
  EXPECT_EQ(counts.atomics, 0);
}

INSTANTIATE_TEST_SUITE_P(Cases, FlashAttention, testing::Range<std::size_t>(0, 6),
                         [](const auto& info) { return std::string(flash_cases()[info.param].name); });

TEST(FlashHeads, TheRestOfEverySampleThatIsAskedIsAskedToo) {
  const StreamShape shape{{0, 4, 6, 9}, std::nullopt};
  const at::Tensor rows = with_rest_of_samples(at::tensor({1, 3, 8}, at::kLong), shape);
  EXPECT_TRUE(at::equal(rows, at::tensor({1, 2, 3, 8}, at::kLong)));
}

TEST(FlashHeads, Fp32AndOddHeadsAreLeftToOthers) {
  const auto takes = [](std::int64_t dim, at::ScalarType type, at::Device device) {
    return flash_takes(at::zeros({2, 1, dim}, at::TensorOptions(type)).to(device));
  };
  EXPECT_TRUE(takes(96, at::kBFloat16, other_device()));
  EXPECT_TRUE(takes(256, at::kHalf, other_device()));
  EXPECT_FALSE(takes(96, at::kFloat, other_device()));
  EXPECT_FALSE(takes(100, at::kBFloat16, other_device()));
  EXPECT_FALSE(takes(264, at::kBFloat16, other_device()));
  EXPECT_FALSE(takes(96, at::kBFloat16, at::kCPU));
}

}  // namespace
}  // namespace striate::test
