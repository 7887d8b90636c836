// Which layers go.
#include "striate/region/prune_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "striate/base/error.h"

namespace striate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Eight layers; the block of three from layer 4 on is the best one, that from layer 1 on the second best.
ScoreFile scores_of_eight() {
  ScoreFile scores{.model = "m", .layers = 8, .samples = 10};
  scores.path = "scores.json";
  scores.metrics["bi"] = {.mean = {0.5, 0.1, 0.3, 0.1, 0.2, 0.6, 0.05, 0.7}};
  scores.metrics["patchy"] = {.mean = {kNone, 0.4, kNone, 0.3, kNone, kNone, kNone, kNone}};
  scores.angular[1] = {.mean = {0.4, 0.3, 0.2, 0.1, 0.15, 0.25, 0.35, 0.45}};
  scores.angular[3] = {.mean = {0.5, 0.22, 0.3, 0.4, 0.2, 0.6}};
  return scores;
}

PruneCriteria request(std::int64_t remove, std::vector<std::int64_t> region = {},
                      const std::string& metric = "angular") {
  return {.protected_layers = LayerSet(8, std::move(region)), .remove = remove, .metric = metric};
}

std::vector<std::int64_t> chosen(const PruneCriteria& r) {
  std::vector<std::int64_t> out;
  for (const PrunedLayer& p : choose_layers_to_prune(r, scores_of_eight())) out.push_back(p.layer);
  return out;
}

void refused(const std::function<void()>& act, const std::string& what, const std::string& hint) {
  try {
    act();
    ADD_FAILURE() << "accepted: " << what;
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr(what));
    EXPECT_THAT(error.hint(), HasSubstr(hint));
  }
}

TEST(PruneChoice, TheLowestGoFirst) {
  EXPECT_THAT(chosen(request(3)), ElementsAre(3, 4, 2));
  EXPECT_THAT(chosen(request(0)), ElementsAre());
  const auto pruned = choose_layers_to_prune(request(2), scores_of_eight());
  EXPECT_EQ(pruned[0], (PrunedLayer{3, 0.1}));
  EXPECT_EQ(pruned[1], (PrunedLayer{4, 0.15}));
}

TEST(PruneChoice, OfEqualScoresTheLowerLayerGoesFirst) {
  EXPECT_THAT(chosen(request(3, {}, "bi")), ElementsAre(6, 1, 3));
}

TEST(PruneChoice, TheRegionStays) {
  EXPECT_THAT(chosen(request(3, {3, 4, 0})), ElementsAre(2, 5, 1));
  EXPECT_THAT(chosen(request(5, {0, 2, 4}, "bi")), ElementsAre(6, 1, 3, 5, 7));
}

TEST(PruneChoice, SpacedNoTwoNeighboursGo) {
  PruneCriteria spaced = request(4);
  spaced.spaced = true;
  EXPECT_THAT(chosen(spaced), ElementsAre(3, 5, 1, 7));
  EXPECT_EQ(most_to_prune(spaced, scores_of_eight()), 4);
  EXPECT_EQ(most_to_prune(request(0), scores_of_eight()), 7);
  EXPECT_EQ(most_to_prune(request(0, {3, 4}), scores_of_eight()), 6);
  spaced.remove = 5;
  refused([&] { chosen(spaced); }, "only 4 layers can go", "remove at most 4");
  spaced.contiguous = true;
  refused([&] { chosen(spaced); }, "`spaced` and `contiguous` exclude each other", "leave out one");
}

TEST(PruneChoice, ABlockLiesWhollyOutsideTheRegion) {
  PruneCriteria block = request(3);
  block.contiguous = true;
  EXPECT_THAT(chosen(block), ElementsAre(4, 5, 6));
  EXPECT_EQ(choose_layers_to_prune(block, scores_of_eight())[2].score, 0.2);
  block.protected_layers = LayerSet(8, {6});
  EXPECT_THAT(chosen(block), ElementsAre(1, 2, 3));
  block.protected_layers = LayerSet(8, {0, 4});
  EXPECT_THAT(chosen(block), ElementsAre(1, 2, 3));
  block.protected_layers = LayerSet(8, {0, 3, 6});
  refused([&] { chosen(block); }, "no 3 neighbouring layers lie outside the region 0,3,6",
          "the longest block has 2 layers");
  block = request(2);
  block.contiguous = true;
  refused([&] { chosen(block); }, "no angular distances of blocks of 2 layers", "measure the scores again");
  block = request(2, {}, "bi");
  block.contiguous = true;
  refused([&] { chosen(block); }, "`contiguous` does not work with `metric` bi", "`metric` angular");
}

TEST(PruneChoice, LayersWithoutAScoreAreNeverChosen) {
  EXPECT_THAT(chosen(request(2, {}, "patchy")), ElementsAre(3, 1));
  refused([] { chosen(request(3, {}, "patchy")); }, "no value of patchy for 6 of the 8 layers", "another `metric`");
  PruneCriteria block = request(3);
  block.contiguous = true;
  ScoreFile scores = scores_of_eight();
  scores.angular[3].mean[4] = kNone;
  EXPECT_EQ(choose_layers_to_prune(block, scores)[0].layer, 1);
  scores.angular[3].mean.assign(6, kNone);
  refused([&] { choose_layers_to_prune(block, scores); }, "no value for any block of 3 layers",
          "measure the scores again");
}

TEST(PruneChoice, RefusesWhatCannotBe) {
  refused([] { chosen(request(6, {0, 4, 7})); }, "only 5 layers of 8 lie outside the region 0,4,7", "`region` none");
  refused([] { chosen(request(8)); }, "one must stay", "at most 7");
  refused([] { chosen(request(-1)); }, "`remove` -1", "give 0");
  refused([] { chosen(request(1, {}, "bii")); }, "no metric \"bii\"", "did you mean bi?");
  PruneCriteria deeper = request(1);
  deeper.protected_layers = LayerSet(9, {});
  refused([&] { chosen(deeper); }, "is for a decoder of 8 layers, but this decoder has 9", "score this model");
}

// Every round has scores of its own, by the numbers of what is left.
TEST(PruneChoice, IterativelyLayersAreScoredAnewAfterEachRemoval) {
  std::vector<std::vector<std::int64_t>> asked;
  const auto score = [&](const LayerSet& gone) {
    asked.push_back(gone.numbers());
    ScoreFile scores{.model = "m", .layers = 5 - gone.count(), .samples = 1};
    std::vector<double> values(static_cast<std::size_t>(scores.layers), 1.0);
    values[1] = 0.25;  // whatever is second now
    values[0] = 0.1;   // in the region
    scores.angular[1] = {.mean = values};
    return scores;
  };
  PruneCriteria r{.protected_layers = LayerSet(5, {0, 3}), .remove = 2};
  const auto pruned = choose_layers_iteratively(r, score);
  EXPECT_EQ(pruned, (std::vector<PrunedLayer>{{1, 0.25}, {2, 0.25}}));
  EXPECT_THAT(asked, ElementsAre(ElementsAre(), ElementsAre(1)));
  r.contiguous = true;
  refused([&] { choose_layers_iteratively(r, score); }, "`iterative` and `contiguous` exclude each other",
          "leave out one of them");
  r.contiguous = false;
  r.remove = 4;
  refused([&] { choose_layers_iteratively(r, score); }, "only 3 layers of 5 lie outside", "at most 3");
  EXPECT_EQ(asked.size(), 2U);
}

TEST(PruneChoice, ScoresOfAnotherDecoderOfTheSameDepthAreRefused) {
  PruneCriteria r = request(1);
  r.decoder = DecoderShape{.hidden = 64, .mlp = 100, .heads = 4, .kv_heads = 4};
  ScoreFile scores = scores_of_eight();
  EXPECT_NO_THROW(choose_layers_to_prune(r, scores));  // a file that does not tell
  scores.decoder = r.decoder;
  EXPECT_NO_THROW(choose_layers_to_prune(r, scores));
  const auto refuses = [&](std::int64_t DecoderShape::*value, const char* words) {
    scores.decoder = r.decoder;
    (*scores.decoder).*value = 32;
    refused([&] { choose_layers_to_prune(r, scores); }, words, "score this model");
  };
  refuses(&DecoderShape::hidden, "a decoder of another width: 32, where this one has 64");
  refuses(&DecoderShape::mlp, "a decoder of another MLP width: 32, where this one has 100");
  refuses(&DecoderShape::heads, "a decoder of another number of heads: 32, where this one has 4");
  refuses(&DecoderShape::kv_heads, "another number of key and value heads: 32, where this one has 4");
}

TEST(PruneChoice, AListIsTakenAsItIs) {
  const auto listed = [](std::vector<std::int64_t> layers, std::vector<std::int64_t> region = {}) {
    const LayerSet named(8, std::move(layers));
    return layers_of(listed_layers_to_prune(request(0, std::move(region)), named), 8);
  };
  EXPECT_THAT(listed({5, 2}), ElementsAre(2, 5));
  EXPECT_TRUE(std::isnan(listed_layers_to_prune(request(0), LayerSet(8, {2}))[0].score));
  refused([&] { listed({2, 3}, {3}); }, "layer 3 is in the region", "`region` none");
  refused([&] { listed({0, 1, 2, 3, 4, 5, 6, 7}); }, "no layer would be left", "leave at least one");
}

TEST(PruneChoice, WhatStaysKeepsItsOriginalNumber) {
  EXPECT_THAT(layers_of({{4, 0.1}, {1, 0.2}}, 6).complement(), ElementsAre(0, 2, 3, 5));
  EXPECT_EQ(longest_free_block(LayerSet(8, {0, 3})), 4);
  EXPECT_EQ(longest_free_block(LayerSet(4, {})), 4);
}

}  // namespace
}  // namespace striate
