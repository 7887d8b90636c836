#include "striate/infer/sampler.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "striate/base/error.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

at::Tensor logits(std::vector<float> values) {
  return at::tensor(values);
}

// How often each token is drawn in `draws` steps.
std::map<std::int64_t, int> frequencies(const SamplingOptions& options, const at::Tensor& scores, int draws) {
  const Sampler sampler(options);
  std::map<std::int64_t, int> counts;
  for (int step = 0; step < draws; ++step) ++counts[sampler.choose(scores, {}, step)];
  return counts;
}

TEST(Sampler, ZeroTemperatureTakesTheLikeliest) {
  EXPECT_EQ(Sampler({}).choose(logits({0.5F, 2.0F, 1.0F}), {}, 0), 1);
}

TEST(Sampler, DrawsFollowTheSoftmax) {
  SamplingOptions options;
  options.temperature = 2.0;
  const std::vector<float> scores = {0.0F, 1.0F, 3.0F};
  const auto counts = frequencies(options, logits(scores), 20000);
  double total = 0;
  for (const float s : scores) total += std::exp(s / 2.0);
  for (std::int64_t id = 0; id < 3; ++id) {
    const double expected = 20000 * std::exp(scores[static_cast<std::size_t>(id)] / 2.0) / total;
    EXPECT_NEAR(counts.at(id), expected, 5 * std::sqrt(expected)) << "token " << id;
  }
}

TEST(Sampler, TopKDrawsOnlyFromTheLikeliest) {
  SamplingOptions options;
  options.temperature = 10.0;
  options.top_k = 2;
  const auto counts = frequencies(options, logits({0.1F, 0.4F, 0.3F, 0.2F}), 2000);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_TRUE(counts.contains(1));
  EXPECT_TRUE(counts.contains(2));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesTheSum) {
  SamplingOptions options;
  options.temperature = 1.0;
  options.top_p = 0.6;  // probabilities 0.5, 0.3, 0.2: the first two are needed
  const auto counts = frequencies(options, logits({std::log(0.5F), std::log(0.3F), std::log(0.2F)}), 2000);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_NEAR(counts.at(0), 2000 * 0.5 / 0.8, 150);
  options.top_p = 0.01;  // never empty
  EXPECT_EQ(frequencies(options, logits({0.0F, 1.0F}), 100).size(), 1U);
}

TEST(Sampler, RepetitionPenaltyLowersSeenTokensWhateverTheirSign) {
  SamplingOptions options;
  options.repetition_penalty = 2.0;
  const Sampler sampler(options);
  EXPECT_EQ(sampler.choose(logits({3.0F, 2.0F}), {0}, 0), 1);           // 3 / 2 < 2
  EXPECT_EQ(sampler.choose(logits({-1.0F, -1.5F}), {0}, 0), 1);         // -1 * 2 < -1.5
  EXPECT_EQ(sampler.choose(logits({3.0F, 2.0F}), {0, 0, -200}, 0), 1);  // once, however often it was seen
}

TEST(Sampler, RefusesValuesThatMakeNoDistribution) {
  const std::pair<SamplingOptions, const char*> refused[] = {{{.temperature = -1.0}, "`temperature` -1"},
                                                             {{.temperature = std::nan("")}, "`temperature` nan"},
                                                             {{.top_p = 0.0}, "`top_p` 0"},
                                                             {{.top_p = 1.5}, "`top_p` 1.5"},
                                                             {{.top_k = -1}, "`top_k` -1"},
                                                             {{.repetition_penalty = 0.0}, "`repetition_penalty` 0"}};
  for (const auto& bad : refused) {
    EXPECT_ERROR(Sampler{bad.first}, bad.second);
  }
}

}  // namespace
}  // namespace striate
