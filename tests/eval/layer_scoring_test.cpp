#include "striate/eval/layer_scoring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <thread>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "tests/data/small_world.h"
#include "tests/support/ports.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

using testing::HasSubstr;

class LayerScoring : public testing::Test {
 protected:
  EvaluationOptions data(std::int64_t samples = 0) const {
    EvaluationOptions options;
    options.data = world_.data();
    options.images = world_.images();
    options.most_items = samples;
    return options;
  }
  ScoreFile score(const EvaluationOptions& options, std::int64_t tokens_per_stream = 256,
                  const Ranks& ranks = {}) const {
    const auto group = join_ranks(ranks, at::kCPU);
    EvaluationSet set(world_.model(), world_.tokenizer(), options);
    ScoreFile file;
    score_samples(world_.model(), set, *group, {}, tokens_per_stream).report(file);
    group->finish();
    return file;
  }

  SmallWorld world_{24};
};

void expect_same(const ScoreFile& a, const ScoreFile& b, double tolerance) {
  ASSERT_EQ(a.metric_names(), b.metric_names());
  EXPECT_EQ(a.samples, b.samples);
  EXPECT_EQ(a.tokens->total, b.tokens->total);
  const auto near = [&](const std::vector<double>& x, const std::vector<double>& y, const std::string& name) {
    ASSERT_EQ(x.size(), y.size());
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], tolerance) << name << " " << i;
  };
  for (const std::string& name : a.metric_names()) {
    near(a.metric(name).mean, b.metric(name).mean, name);
    near(a.metric(name).standard_error, b.metric(name).standard_error, name);
    EXPECT_EQ(a.metric(name).samples, b.metric(name).samples) << name;
  }
  for (const auto& [n, score] : a.angular) near(score.mean, b.angular.at(n).mean, cat("angular ", n));
}

TEST_F(LayerScoring, ScoresEverySampleAndCountsThoseWithPictures) {
  const ScoreFile file = score(data());
  EXPECT_EQ(file.samples, 24);
  EXPECT_EQ(file.metric("bi").samples, (std::vector<std::int64_t>{24, 24, 24}));
  EXPECT_EQ(file.metric("bi_image").samples, (std::vector<std::int64_t>{16, 16, 16}));
  EXPECT_EQ(file.angular.size(), 3U);
}

TEST_F(LayerScoring, PackingDoesNotMatter) {
  expect_same(score(data(), 1), score(data(), 4096), 1e-5);
}

TEST_F(LayerScoring, TwoRanksGiveTheScoresOfOne) {
  Ranks ranks;
  ranks.size = 2;
  ranks.port = free_port();
  std::array<ScoreFile, 2> files;
  std::thread other([&] {
    Ranks second = ranks;
    second.rank = 1;
    files[1] = score(data(), 256, second);
  });
  files[0] = score(data(), 256, ranks);
  other.join();
  const ScoreFile alone = score(data());
  for (const ScoreFile& file : files) expect_same(file, alone, 1e-6);
}

TEST_F(LayerScoring, DrawnSamplesComeFromTheWholeFileAndAreTheSameForASeed) {
  EvaluationOptions first = data(8);
  EvaluationOptions drawn = data(8);
  drawn.draw_seed = 1;
  EvaluationOptions again = drawn;
  EvaluationOptions other = drawn;
  other.draw_seed = 2;
  const auto bi = [&](const EvaluationOptions& options) { return score(options).metric("bi").mean; };
  EXPECT_EQ(bi(drawn), bi(again));
  EXPECT_NE(bi(drawn), bi(other));
  EXPECT_NE(bi(drawn), bi(first));
  drawn.most_items = 1000;  // more than there are: all
  expect_same(score(drawn), score(data()), 1e-12);
}

TEST_F(LayerScoring, ProgressEndsAtTheLastSample) {
  const auto alone = join_ranks({}, at::kCPU);
  EvaluationSet set(world_.model(), world_.tokenizer(), data(10));
  std::int64_t last = 0;
  score_samples(world_.model(), set, *alone, {}, 128, [&](std::int64_t done, std::int64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, 10);
    last = done;
  });
  EXPECT_EQ(last, 10);
}

// Rounding a state to bf16 moves every sample's score a little, and each differently: means stay within what their
// standard errors let expect.
TEST_F(LayerScoring, BFloat16ScoresLieWithinTheirStandardErrors) {
  const auto fp32 = score(data());
  const auto model = tiny_model({.vocab_size = 264}, Compute::kBFloat16);
  EvaluationSet set(*model, world_.tokenizer(), data());
  ScoreFile bf16;
  score_samples(*model, set, *join_ranks({}, at::kCPU), {}, 256).report(bf16);
  for (const std::string& name : fp32.metric_names()) {
    const Score& a = fp32.metric(name);
    const Score& b = bf16.metric(name);
    for (std::size_t i = 0; i < a.mean.size(); ++i) {
      EXPECT_LE(std::abs(a.mean[i] - b.mean[i]), 3 * a.standard_error[i] + 1e-3) << name << " " << i;
    }
  }
}

TEST_F(LayerScoring, NothingToScoreWithIsRefused) {
  try {
    score_layers({}, {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr("neither `data` nor `base`"));
  }
}

}  // namespace
}  // namespace striate::test
