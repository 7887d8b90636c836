#include "striate/region/layer_scores.h"

#include <ATen/ops/cosine_similarity.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <barrier>
#include <cmath>
#include <limits>
#include <thread>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/conversation.h"
#include "tests/support/errors.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

// Sample `index`: with a picture (two every fifth) or, every third, of text alone; 6 to 14 tokens of text.
Sample sample(std::int64_t index) {
  Sample out;
  const std::int64_t length = 6 + index * 5 % 9;
  for (std::int64_t i = 0; i < length; ++i) {
    out.input_ids.push_back(3 + (index * 31 + i * 7) % 90);
    out.labels.push_back(i > length / 2 ? out.input_ids.back() : kIgnoreLabel);
  }
  if (index % 3 == 0) return out;
  for (std::int64_t k = 0; k < (index % 5 == 0 ? 2 : 1); ++k) {
    out.input_ids.insert(out.input_ids.begin() + 1 + 2 * k, 1, kImageToken);
    out.labels.insert(out.labels.begin() + 1 + 2 * k, 1, kIgnoreLabel);
    out.images.push_back(tiny_image(index + k));
  }
  return out;
}

std::vector<Sample> samples(std::int64_t count) {
  std::vector<Sample> out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(sample(i));
  return out;
}

// Scores of `all`, packed `together` at a time.
ScoreFile scores(const Lvlm& model, const std::vector<Sample>& all, std::size_t together,
                 const LayerScoreOptions& options = {}) {
  LayerScoreCollector collector(model.config().decoder, options);
  for (std::size_t i = 0; i < all.size(); i += together) {
    collector.add(model, pack(std::span(all).subspan(i, std::min(together, all.size() - i))));
  }
  ScoreFile file;
  collector.report(file);
  return file;
}

void expect_same(const Score& a, const Score& b, double tolerance, const std::string& name) {
  ASSERT_EQ(a.mean.size(), b.mean.size()) << name;
  EXPECT_EQ(a.samples, b.samples) << name;
  for (std::size_t i = 0; i < a.mean.size(); ++i) {
    EXPECT_EQ(std::isnan(a.mean[i]), std::isnan(b.mean[i])) << name;
    if (!std::isnan(a.mean[i])) {
      EXPECT_NEAR(a.mean[i], b.mean[i], tolerance) << name << " " << i;
    }
    if (!std::isnan(a.standard_error[i])) {
      EXPECT_NEAR(a.standard_error[i], b.standard_error[i], tolerance) << name << " " << i;
    }
  }
}

void expect_same(const ScoreFile& a, const ScoreFile& b, double tolerance) {
  EXPECT_EQ(a.metric_names(), b.metric_names());
  for (const std::string& name : a.metric_names()) expect_same(a.metric(name), b.metric(name), tolerance, name);
  for (const auto& [n, score] : a.angular) expect_same(score, b.angular.at(n), tolerance, cat("angular ", n));
  for (std::size_t layer = 0; layer < a.image_attention_heads.size(); ++layer) {
    expect_same(a.image_attention_heads[layer], b.image_attention_heads[layer], tolerance, cat("heads of ", layer));
  }
}

TEST(LayerScores, PackedEqualsOneAtATime) {
  const auto model = tiny_model();
  const std::vector<Sample> all = samples(12);
  expect_same(scores(*model, all, 1), scores(*model, all, 12), 1e-5);
  expect_same(scores(*model, all, 1), scores(*model, all, 5), 1e-5);
}

TEST(LayerScores, BlockInfluenceIsItsFormula) {
  const auto model = tiny_model();
  const std::vector<Sample> all = samples(5);
  const ScoreFile file = scores(*model, all, 5);
  std::vector<std::vector<double>> by_layer(3);  // of each sample
  for (const Sample& one : all) {
    std::vector<at::Tensor> states;
    model->forward(pack(std::span(&one, 1)),
                   [&](std::int64_t, const at::Tensor& x) { states.push_back(x.to(at::kDouble)); });
    for (std::size_t l = 0; l < 3; ++l) {
      by_layer[l].push_back(1 - at::cosine_similarity(states[l], states[l + 1], 1).mean().item<double>());
    }
  }
  for (std::size_t l = 0; l < 3; ++l) {
    double mean = 0, squares = 0;
    for (const double value : by_layer[l]) mean += value / 5;
    for (const double value : by_layer[l]) squares += (value - mean) * (value - mean);
    EXPECT_NEAR(file.metric("bi").mean[l], mean, 1e-6);
    EXPECT_NEAR(file.metric("bi").standard_error[l], std::sqrt(squares / 4 / 5), 1e-6);
  }
}

TEST(LayerScores, SamplesWithoutAPictureDoNotCountInItsScores) {
  const auto model = tiny_model();
  const ScoreFile file = scores(*model, samples(6), 6);  // samples 0 and 3 are text alone
  EXPECT_EQ(file.samples, 6);
  const auto count = [&](const char* name) { return file.metric(name).samples.at(0); };
  for (const char* name : {"bi", "bi_text", "angular", "image_attention_text"}) EXPECT_EQ(count(name), 6) << name;
  for (const char* name : {"bi_image", "bi_multimodal", "image_attention", "image_attention_last"}) {
    EXPECT_EQ(count(name), 4) << name;
  }
  const ScoreFile text = scores(*model, {sample(0), sample(3)}, 2);
  EXPECT_TRUE(std::isnan(text.metric("bi_image").mean[0]));
  EXPECT_TRUE(std::isnan(text.metric("image_attention").mean[0]));
  EXPECT_EQ(text.metric("bi_image").samples, (std::vector<std::int64_t>{0, 0, 0}));
  EXPECT_EQ(text.metric("image_attention_text").mean, (std::vector<double>{0, 0, 0}));
}

TEST(LayerScores, OneSampleHasNoStandardError) {
  const ScoreFile file = scores(*tiny_model(), {sample(1)}, 1);
  EXPECT_TRUE(std::isfinite(file.metric("bi").mean[0]));
  EXPECT_TRUE(std::isnan(file.metric("bi").standard_error[0]));
}

TEST(LayerScores, OnlyWhatWasAskedForIsMeasured) {
  const auto model = tiny_model();
  const auto names = [&](const LayerScoreOptions& options) {
    return scores(*model, samples(3), 3, options).metric_names();
  };
  EXPECT_EQ(names({.angular = false, .image_attention = false}),
            (std::vector<std::string>{"bi", "bi_image", "bi_multimodal", "bi_text"}));
  EXPECT_EQ(names({.block_influence = false, .image_attention = false}), (std::vector<std::string>{"angular"}));
  const ScoreFile attention = scores(*model, samples(3), 3, {.block_influence = false, .angular = false});
  EXPECT_EQ(attention.metrics.size(), 4U);
  EXPECT_EQ(attention.image_attention_heads.size(), 3U);
  EXPECT_TRUE(attention.tokens->zero_norm.empty());
}

// Token 5 is embedded as `value`, in place of its own row.
std::unique_ptr<Lvlm> model_with_token_5(double value) {
  auto model = tiny_model();
  const at::Tensor table = model->decoder().embedding().value().clone();
  table[5].fill_(value);
  model->decoder().embedding() = Weight(table);
  return model;
}

Sample text(std::vector<std::int64_t> ids) {
  return Sample{.input_ids = std::move(ids), .labels = {}, .images = {}};
}

TEST(LayerScores, TokensOfNormZeroAreCountedAndLeftOut) {
  const auto model = model_with_token_5(0);
  // Alone at the first place, attention gives such a token the value vector of a zero: its state stays zero.
  const ScoreFile file = scores(*model, {text({5, 9, 11}), text({7, 9, 5})}, 2);
  EXPECT_EQ(file.tokens->total, 6);
  EXPECT_EQ(file.tokens->zero_norm, (std::vector<std::int64_t>{2, 1, 1}));
  EXPECT_EQ(file.tokens->not_finite, (std::vector<std::int64_t>{0, 0, 0}));
  // Both samples still have a value: that of their other tokens.
  EXPECT_EQ(file.metric("bi").samples, (std::vector<std::int64_t>{2, 2, 2}));
  // The second sample's last token has no direction at the bottom.
  EXPECT_EQ(file.angular.at(1).samples, (std::vector<std::int64_t>{1, 2, 2}));
}

TEST(LayerScores, TokensThatAreNotFiniteAreCountedAndLeftOut) {
  const auto model = model_with_token_5(std::numeric_limits<double>::quiet_NaN());
  const ScoreFile file = scores(*model, {text({5}), text({7, 9})}, 2);
  EXPECT_EQ(file.tokens->not_finite, (std::vector<std::int64_t>{1, 1, 1}));
  EXPECT_EQ(file.tokens->zero_norm, (std::vector<std::int64_t>{0, 0, 0}));
  EXPECT_EQ(file.metric("bi").samples, (std::vector<std::int64_t>{1, 1, 1}));
  EXPECT_EQ(file.angular.at(1).samples, (std::vector<std::int64_t>{1, 1, 1}));
  Sample seen = sample(1);
  seen.input_ids.back() = 5;
  const ScoreFile looked = scores(*model, {seen, sample(2)}, 2);
  EXPECT_EQ(looked.tokens->attention_not_finite.at(0), 4);  // one query, four heads
  EXPECT_EQ(looked.metric("image_attention").samples.at(0), 2);
  EXPECT_EQ(looked.metric("image_attention_last").samples.at(0), 1);
}

// Sums over two threads that take every step together.
class TwoRanks {
 public:
  void sum(std::size_t rank, std::span<double> values) {
    given_[rank].assign(values.begin(), values.end());
    meeting_.arrive_and_wait();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = given_[0][i] + given_[1][i];
    meeting_.arrive_and_wait();
  }

 private:
  std::array<std::vector<double>, 2> given_;
  std::barrier<> meeting_{2};
};

TEST(LayerScores, TwoRanksTogetherHaveTheScoresOfOne) {
  const auto model = tiny_model();
  const std::vector<Sample> all = samples(9);
  TwoRanks ranks;
  std::array<ScoreFile, 2> files;
  const auto run = [&](std::size_t rank) {
    LayerScoreCollector collector(model->config().decoder, {});
    for (std::size_t i = rank; i < all.size(); i += 2) collector.add(*model, pack(std::span(&all[i], 1)));
    collector.combine([&](std::span<double> values) { ranks.sum(rank, values); });
    collector.report(files[rank]);
  };
  std::thread other([&] { run(1); });
  run(0);
  other.join();
  const ScoreFile alone = scores(*model, all, 1);
  for (const ScoreFile& file : files) {
    EXPECT_EQ(file.samples, 9);
    EXPECT_EQ(file.tokens->total, alone.tokens->total);
    expect_same(file, alone, 1e-6);
  }
}

TEST(LayerScores, MemoryDoesNotGrowWithSamples) {
  const auto model = tiny_model();
  const PackedBatch stream = pack(samples(10));
  LayerScoreCollector collector(model->config().decoder, {});
  const auto bytes_after = [&](std::int64_t count) {
    while (collector.samples() < count) collector.add(*model, stream);
    const struct mallinfo2 heap = ::mallinfo2();
    return static_cast<std::int64_t>(heap.uordblks + heap.hblkhd);
  };
  const std::int64_t few = bytes_after(200);  // LibTorch keeps a little of its first passes
  const std::int64_t many = bytes_after(1000);
  EXPECT_LE(std::abs(many - few), 16 << 10) << few << " bytes, then " << many;
}

TEST(LayerScores, AModelOfAnotherDepthIsRefused) {
  LayerScoreCollector collector(tiny_model()->config().decoder, {});
  EXPECT_ERROR(collector.add(*tiny_model({.layers = 2}), pack(samples(1))), "a model of 2 layers");
}

}  // namespace
}  // namespace striate::test
