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

PruneRequest request(std::int64_t remove, std::vector<std::int64_t> region = {},
                     const std::string& metric = "angular") {
  return {.layers = 8, .protected_layers = std::move(region), .remove = remove, .metric = metric};
}

std::vector<std::int64_t> chosen(const PruneRequest& r) {
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

TEST(PruneChoice, ABlockLiesWhollyOutsideTheRegion) {
  PruneRequest block = request(3);
  block.contiguous = true;
  EXPECT_THAT(chosen(block), ElementsAre(4, 5, 6));
  EXPECT_EQ(choose_layers_to_prune(block, scores_of_eight())[2].score, 0.2);
  block.protected_layers = {6};
  EXPECT_THAT(chosen(block), ElementsAre(1, 2, 3));
  block.protected_layers = {0, 4};
  EXPECT_THAT(chosen(block), ElementsAre(1, 2, 3));
  block.protected_layers = {0, 3, 6};
  refused([&] { chosen(block); }, "no 3 neighbouring layers lie outside the region 0,3,6",
          "the longest block there is has 2 layers");
  block = request(2);
  block.contiguous = true;
  refused([&] { chosen(block); }, "no angular distances of blocks of 2 layers", "score again");
  block = request(2, {}, "bi");
  block.contiguous = true;
  refused([&] { chosen(block); }, "--contiguous with --metric bi", "--metric angular");
}

TEST(PruneChoice, LayersWithoutAScoreAreNeverChosen) {
  EXPECT_THAT(chosen(request(2, {}, "patchy")), ElementsAre(3, 1));
  refused([] { chosen(request(3, {}, "patchy")); }, "no value of patchy for 6 of the 8 layers", "another --metric");
  PruneRequest block = request(3);
  block.contiguous = true;
  ScoreFile scores = scores_of_eight();
  scores.angular[3].mean[4] = kNone;
  EXPECT_EQ(choose_layers_to_prune(block, scores)[0].layer, 1);
  scores.angular[3].mean.assign(6, kNone);
  refused([&] { choose_layers_to_prune(block, scores); }, "no value for any block of 3 layers", "score again");
}

TEST(PruneChoice, RefusesWhatCannotBe) {
  refused([] { chosen(request(6, {0, 4, 7})); }, "only 5 layers of 8 lie outside the region 0,4,7", "--region none");
  refused([] { chosen(request(8)); }, "one must stay", "7 at most");
  refused([] { chosen(request(-1)); }, "--remove -1", "0 up");
  refused([] { chosen(request(1, {8})); }, "--region names layer 8; the model has layers 0 to 7", "counted from 0");
  refused([] { chosen(request(1, {}, "bii")); }, "no metric \"bii\"", "did you mean bi?");
  PruneRequest deeper = request(1);
  deeper.layers = 9;
  refused([&] { chosen(deeper); }, "scores a decoder of 8 layers, this one has 9", "score this model");
}

TEST(PruneChoice, AListIsTakenAsItIs) {
  const auto listed = [](std::vector<std::int64_t> layers, std::vector<std::int64_t> region = {}) {
    return ascending_layers(listed_layers_to_prune(request(0, std::move(region)), layers));
  };
  EXPECT_THAT(listed({5, 2, 5}), ElementsAre(2, 5));
  EXPECT_TRUE(std::isnan(listed_layers_to_prune(request(0), {2})[0].score));
  refused([&] { listed({2, 9}); }, "--layers names layer 9", "counted from 0");
  refused([&] { listed({2, 3}, {3}); }, "layer 3 is in the region", "--region none");
  refused([&] { listed({0, 1, 2, 3, 4, 5, 6, 7}); }, "no layer would be left", "one must stay");
}

TEST(PruneChoice, WhatStaysKeepsItsOriginalNumber) {
  EXPECT_THAT(kept_layers(6, {1, 4}), ElementsAre(0, 2, 3, 5));
  EXPECT_EQ(longest_free_block(8, {0, 3}), 4);
  EXPECT_EQ(longest_free_block(4, {}), 4);
}

}  // namespace
}  // namespace striate
