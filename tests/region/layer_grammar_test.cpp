#include "striate/region/layer_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/region/score_file.h"
#include "tests/region/written_scores.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using Layers = std::vector<std::int64_t>;
using testing::ElementsAre;
using testing::HasSubstr;

Layers range(std::int64_t first, std::int64_t last) {
  Layers out(static_cast<std::size_t>(last - first + 1));
  std::iota(out.begin(), out.end(), first);
  return out;
}

// The error's line and hint in one, so that one matcher sees both.
std::string refusal(const std::string& spec, std::int64_t layers) {
  try {
    return cat("accepted: ", parse_layer_set(spec, layers).list());
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2) << spec;
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << spec;
    EXPECT_NE(error.hint(), "") << spec;
    return cat(error.what(), " | ", error.hint());
  }
}

TEST(LayerGrammar, EverySpecOfTheDesignNamesItsLayersOf32) {
  const std::vector<std::pair<std::string, Layers>> cases = {
      {"all", range(0, 31)},
      {"uniform:8", {0, 4, 8, 12, 16, 20, 24, 28}},
      {"uniform:25%", {0, 4, 8, 12, 16, 20, 24, 28}},
      {"uniform:8@2", {2, 6, 10, 14, 18, 22, 26, 30}},
      {"uniform:25%@3", {3, 7, 11, 15, 19, 23, 27, 31}},
      {"uniform:32", range(0, 31)},
      {"uniform:1", {0}},
      {"uniform:1@31", {31}},
      {"uniform:5", {0, 6, 12, 19, 25}},
      {"paper", {0, 4, 8, 12, 18, 22, 26, 30}},
      {"authors-script", {1, 5, 9, 13, 19, 23, 27, 31}},
      {"bottom:8", range(0, 7)},
      {"mid-bottom:8", range(8, 15)},
      {"mid-top:8", range(16, 23)},
      {"top:8", range(24, 31)},
      {"top:25%", range(24, 31)},
      {"middle:8", range(12, 19)},
      {"bottom-top:8", {0, 1, 2, 3, 28, 29, 30, 31}},
      {"bottom-top:3", {0, 1, 31}},
      {"bottom-top:1", {0}},
      {"0,4,8-11", {0, 4, 8, 9, 10, 11}},
      {" 31 , 0 - 2, 1-3 ", {0, 1, 2, 3, 31}},
      {"7", {7}},
  };
  for (const auto& [spec, layers] : cases) EXPECT_EQ(parse_layer_set(spec, 32).numbers(), layers) << spec;
}

TEST(LayerGrammar, DepthsThatDivideBadlyAreRoundedAsDocumented) {
  EXPECT_EQ(parse_layer_set("paper", 40).numbers(), (Layers{0, 4, 8, 13, 17, 22, 26, 31, 35}));
  EXPECT_EQ(parse_layer_set("uniform:4", 10).numbers(), (Layers{0, 2, 5, 7}));
  EXPECT_EQ(parse_layer_set("uniform:4@1", 10).numbers(), (Layers{1, 3, 6, 8}));
  EXPECT_EQ(parse_layer_set("mid-bottom:25%", 30).numbers(), range(7, 14));
  EXPECT_EQ(parse_layer_set("mid-top:25%", 30).numbers(), range(15, 22));
  EXPECT_EQ(parse_layer_set("top:25%", 30).numbers(), range(22, 29));
  EXPECT_EQ(parse_layer_set("middle:4", 15).numbers(), range(5, 8));
  EXPECT_EQ(parse_layer_set("mid-bottom:1", 1).numbers(), (Layers{0}));
  EXPECT_EQ(parse_layer_set("uniform:12.5%", 16).numbers(), (Layers{0, 8}));
  EXPECT_EQ(parse_layer_set("uniform:25%", 6).numbers(), (Layers{0, 3}));  // 1.5 is rounded up
  EXPECT_EQ(parse_layer_set("uniform:1%", 32).numbers(), (Layers{0}));     // at least one
  EXPECT_EQ(parse_layer_set("top:100%", 3).numbers(), range(0, 2));
}

TEST(LayerGrammar, UniformStaysInsideItsBinsAtEveryDepth) {
  for (std::int64_t depth = 1; depth <= 48; ++depth) {
    for (std::int64_t k = 1; k <= depth; ++k) {
      const Layers bins = uniform_bins(depth, k);
      const std::int64_t last_offset = depth / k - 1;
      for (const std::int64_t offset : {std::int64_t{0}, last_offset}) {
        const LayerSet layers = parse_layer_set(cat("uniform:", k, "@", offset), depth);
        ASSERT_EQ(layers.size(), static_cast<std::size_t>(k));
        for (std::size_t i = 0; i < layers.size(); ++i) {
          EXPECT_GE(layers[i], bins[i]);
          EXPECT_LT(layers[i], bins[i + 1]) << "uniform:" << k << "@" << offset << " of " << depth;
        }
      }
      EXPECT_THAT(refusal(cat("uniform:", k, "@", last_offset + 1), depth), HasSubstr("is outside the bins"));
    }
  }
}

TEST(LayerGrammar, RandomSetsDependOnTheSeedAloneAndReachEveryLayer) {
  EXPECT_EQ(parse_layer_set("random:8:1", 32), parse_layer_set("random:25%:1", 32));
  EXPECT_NE(parse_layer_set("random:8:1", 32), parse_layer_set("random:8:2", 32));
  EXPECT_EQ(parse_layer_set("random:32:5", 32).numbers(), range(0, 31));
  std::set<std::int64_t> seen;
  for (int seed = 0; seed < 60; ++seed) {
    const LayerSet layers = parse_layer_set(cat("random:4:", seed), 16);
    EXPECT_EQ(layers.size(), 4U);
    EXPECT_EQ(std::set<std::int64_t>(layers.begin(), layers.end()).size(), 4U);
    EXPECT_TRUE(std::is_sorted(layers.begin(), layers.end()));
    seen.insert(layers.begin(), layers.end());
  }
  EXPECT_EQ(seen.size(), 16U);
}

TEST(LayerGrammar, EveryMistakeIsOneLineAndAHint) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "does not name a layer | "},
      {"  ", "does not name a layer | "},
      {"uniforn:8", "did you mean uniform?"},
      {"Top:8", "did you mean top?"},
      {"authors_script", "did you mean authors-script?"},
      {"everything", "known: all, authors-script, "},
      {"foo:3", "\"foo\" is not a rule for layers | known: all, authors-script, "},
      {"uniform", "does not say how many layers | write uniform:8"},
      {"uniform:", "does not say how many layers"},
      {"uniform@2", "does not say how many layers"},
      {"uniform:0", "does not name a layer | give at least 1"},
      {"uniform:33", "33 layers are more than the decoder's 32 | give 1 to 32"},
      {"uniform:-3", "\"-3\" is not a number of layers"},
      {"uniform:+3", "\"+3\" is not a number of layers"},
      {"uniform:8.5", "\"8.5\" is not a number of layers"},
      {"uniform:8:1", "\"8:1\" is not a number of layers"},
      {"uniform:99999999999999999999", "is too large"},
      {"uniform:0%", "not a share of the layers"},
      {"uniform:101%", "not a share of the layers"},
      {"uniform:-5%", "not a share of the layers"},
      {"uniform:nan%", "not a share of the layers"},
      {"uniform:%", "not a share of the layers"},
      {"uniform:2e1%", "not a share of the layers"},
      {"uniform:8@4",
       "offset 4 is outside the bins: 8 bins of 32 layers have 4 layers each | give an offset of 0 to 3"},
      {"uniform:20@1", "have 1 layer or more | leave out the offset"},
      {"uniform:8@", "\"\" is not an offset"},
      {"uniform:8@-1", "\"-1\" is not an offset"},
      {"all:8", "\"all\" takes no argument"},
      {"paper:8", "\"paper\" takes no argument"},
      {"top:8@1", "\"8@1\" is not a number of layers"},
      {"mid-bottom:25", "25 layers from layer 8 exceed the last layer, 31 | give at most 24"},
      {"mid-top:17", "give at most 16"},
      {"bottom-top", "does not say how many layers"},
      {"random:8", "needs a number of layers and a seed"},
      {"random:8:1:2", "needs a number of layers and a seed"},
      {"random:8:x", "\"x\" is not a seed"},
      {"random:40:1", "40 layers are more than the decoder's 32"},
      {"32", "layer 32 is outside the decoder | this decoder has layers 0 to 31"},
      {"0,4,99999999999", "layer 99999999999 is outside the decoder"},
      {"0-99999999999999999999", "is too large"},
      {"-1", "\"-1\" is not a layer"},
      {"0,,4", "empty item between commas"},
      {"0,4,", "empty item between commas"},
      {"11-8", "goes downwards | write 8-11"},
      {"4-", "\"\" is not a layer"},
      {"0,four", "\"four\" is not a layer"},
      {"0 4", "\"0 4\" is not a layer"},
      {"1-2-3", "\"2-3\" is not a layer"},
      {"score:8", "needs a score file, a metric and a number of layers"},
      {"score::bi:8", "needs a score file, a metric and a number of layers"},
      {"score:/nonexistent/scores.json:bi:8", "/nonexistent/scores.json"},
  };
  for (const auto& [spec, words] : cases) EXPECT_THAT(refusal(spec, 32), HasSubstr(words)) << spec;
}

TEST(LayerGrammar, PublishedListsAreRefusedAtOtherDepths) {
  EXPECT_THAT(refusal("paper", 16), HasSubstr("decoders of 32 and 40 layers, but this decoder has 16 | uniform:25%"));
  EXPECT_THAT(refusal("authors-script", 40), HasSubstr("decoders of 32 layers, but this decoder has 40 | uniform:25%"));
}

TEST(LayerGrammar, AListIsWrittenAsItIsRead) {
  for (const char* spec : {"all", "uniform:5", "random:9:3", "bottom-top:7", "paper"}) {
    const LayerSet layers = parse_layer_set(spec, 32);
    EXPECT_EQ(parse_layer_set(layers.list(), 32), layers) << spec;
    EXPECT_EQ(layers.text(), spec);
  }
}

class ScoredLayers : public testing::Test {
 protected:
  void SetUp() override {
    ScoreFile scores{.model = "m", .layers = 6, .samples = 10};
    scores.metrics["bi"] = {.mean = {0.1, 0.5, 0.5, 0.2, 0.5, -1.0}};
    scores.metrics["bi_image"] = {.mean = {0, 1, 2, std::numeric_limits<double>::quiet_NaN(), 4, 5}};
    scores.angular[1] = {.mean = {6, 5, 4, 3, 2, 1}};
    scores.angular[2] = {.mean = {5, 4, 3, 2, 1}};
    write_scores(scores, file_);
  }

  test::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "with:colon.json";
};

TEST_F(ScoredLayers, ScoreTakesTheHighestAndOfEqualOnesTheLower) {
  EXPECT_THAT(parse_layer_set(cat("score:", file_.string(), ":bi:2"), 6), ElementsAre(1, 2));
  EXPECT_THAT(parse_layer_set(cat("score:", file_.string(), ":bi:4"), 6), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(parse_layer_set(cat("score:", file_.string(), ":angular:50%"), 6), ElementsAre(0, 1, 2));
}

TEST_F(ScoredLayers, StratifiedTakesTheHighestOfEachBin) {
  EXPECT_THAT(parse_layer_set(cat("stratified:", file_.string(), ":bi:2"), 6), ElementsAre(1, 4));
  EXPECT_THAT(parse_layer_set(cat("stratified:", file_.string(), ":bi:4"), 6), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(parse_layer_set(cat("stratified:", file_.string(), ":bi:6"), 6), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(ScoredLayers, ScoresThatDoNotFitAreRefused) {
  EXPECT_THAT(refusal(cat("score:", file_.string(), ":bi:2"), 8),
              HasSubstr("is for a decoder of 6 layers, but this decoder has 8"));
  EXPECT_THAT(refusal(cat("score:", file_.string(), ":b1:2"), 6), HasSubstr("did you mean bi?"));
  EXPECT_THAT(refusal(cat("score:", file_.string(), ":fame:2"), 6), HasSubstr("it has: bi, bi_image, angular"));
  EXPECT_THAT(refusal(cat("score:", file_.string(), ":bi_image:2"), 6), HasSubstr("no value of bi_image for layer 3"));
  EXPECT_THAT(refusal(cat("stratified:", file_.string(), ":bi:7"), 6),
              HasSubstr("7 layers are more than the decoder's 6"));
  EXPECT_THAT(refusal(cat("score:", file_.string(), ":bi"), 6), HasSubstr("\"bi\" is not a number of layers"));
}

TEST_F(ScoredLayers, ScoresOfAnotherModelAreRefusedWhereTheModelIsKnown) {
  ScoreFile scores = read_score_file(file_);
  scores.decoder = DecoderShape{32, 48, 4, 2};
  write_scores(scores, file_);
  DecoderConfig decoder;
  decoder.layers = 6;
  decoder.hidden_size = 32;
  decoder.mlp_size = 48;
  decoder.heads = 4;
  decoder.kv_heads = 2;
  const std::string spec = cat("score:", file_.string(), ":bi:2");
  EXPECT_THAT(parse_layer_set(spec, decoder), ElementsAre(1, 2));
  decoder.hidden_size = 64;
  try {
    parse_layer_set(spec, decoder);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("is for another model (m)"));
    EXPECT_EQ(error.exit_code(), 2);
  }
}

}  // namespace
}  // namespace striate
