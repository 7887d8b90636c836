// The region a folder remembers.
#include "striate/edit/recorded_region.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

class RecordedRegion : public testing::Test {
 protected:
  void write(const json& history, const std::string& name = "striate.json") {
    write_file(folder_.path() / name, history.dump());
  }
  std::optional<LayerSet> of(std::int64_t layers) { return recorded_region(folder_.path(), layers); }

  test::TemporaryFolder folder_;
};

json region(const std::vector<std::int64_t>& layers, std::int64_t of) {
  return {{"spec", "any"}, {"layers", layers}, {"of", of}};
}

TEST_F(RecordedRegion, IsThatOfTheTuningItself) {
  write({{"made_by", "striate train"}, {"region", region({0, 3}, 6)}, {"base_history", {{"made_by", "striate init"}}}});
  EXPECT_THAT(of(6), Optional(ElementsAre(0, 3)));
}

TEST_F(RecordedRegion, FollowsLayersThatWereRemovedSince) {
  const json tuned = {{"region", region({0, 3, 5}, 6)}};
  write({{"made_by", "striate prune"},
         {"layers", {{"of", 6}, {"original", {0, 2, 3, 4}}}},
         {"adapter", {{"history", tuned}}},
         {"base_history", {{"made_by", "striate init"}}}});
  EXPECT_THAT(of(4), Optional(ElementsAre(0, 2)));
}

TEST_F(RecordedRegion, OfAModelTunedAfterItWasPrunedIsByItsOwnNumbers) {
  const json pruned = {{"layers", {{"of", 6}, {"original", {0, 2, 3, 4}}}}, {"base_history", nullptr}};
  const json healed = {{"region", region({1, 2}, 4)}, {"base_history", pruned}};
  write(healed);
  EXPECT_THAT(of(4), Optional(ElementsAre(1, 2)));
  // And pruned once more: original layers 2 and 3 are now 0 and 1.
  write({{"layers", {{"of", 6}, {"original", {2, 3, 4}}}}, {"base_history", healed}});
  EXPECT_THAT(of(3), Optional(ElementsAre(0, 1)));
}

TEST_F(RecordedRegion, HealingTheProjectorAloneLeavesItAsItWas) {
  write({{"made_by", "striate heal"}, {"region", region({}, 4)}, {"base_history", {{"region", region({1, 3}, 4)}}}});
  EXPECT_THAT(of(4), Optional(ElementsAre(1, 3)));
}

TEST_F(RecordedRegion, OfAStoppedRunIsInItsRunJson) {
  write({{"command", "train"}, {"region", region({1}, 2)}}, "run.json");
  EXPECT_THAT(of(2), Optional(ElementsAre(1)));
}

TEST_F(RecordedRegion, IsAbsentWhereNothingIsRecordedOrLeft) {
  EXPECT_EQ(of(4), std::nullopt);
  write({{"made_by", "striate init"}});
  EXPECT_EQ(of(4), std::nullopt);
  write({{"layers", {{"of", 3}, {"original", {0, 2}}}}, {"base_history", {{"region", region({1}, 3)}}}});
  EXPECT_EQ(of(2), std::nullopt);
}

TEST_F(RecordedRegion, CountsOfLayersAreNotBelieved) {
  const json huge = {std::int64_t{1} << 60, std::numeric_limits<std::uint64_t>::max(), -1, 1e300, "6", nullptr};
  for (const json& count : huge) {
    SCOPED_TRACE(count.dump());
    write({{"region", {{"layers", {0, 3}}, {"of", count}}}});
    EXPECT_ERROR(of(6), "striate.json");
    write({{"region", region({0, 3}, 6)}, {"layers", {{"of", count}, {"original", {0, 1, 2, 3, 4, 5}}}}});
    EXPECT_ERROR(of(6), "striate.json");
    write({{"region", {{"layers", {0, count}}, {"of", 6}}}});
    EXPECT_ERROR(of(6), "striate.json");
    write({{"region", region({0, 3}, 6)}, {"layers", {{"of", 6}, {"original", {0, 1, 2, 3, 4, count}}}}});
    EXPECT_ERROR(of(6), "striate.json");
  }
}

TEST_F(RecordedRegion, ARecordThatContradictsItselfIsRefused) {
  const auto refused = [&](const json& history, std::int64_t layers, const std::string& what) {
    write(history);
    try {
      of(layers);
      ADD_FAILURE() << "accepted: " << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_THAT(error.what(), HasSubstr(what));
      EXPECT_NE(error.hint(), "");
    }
  };
  refused({{"region", region({7}, 6)}}, 6, "has layer 7 of 6");
  refused({{"region", {{"layers", "all"}}}}, 6, "region: \"layers\" is \"all\", not a list");
  refused({{"region", {{"layers", {1}}}}}, 6, "region is not");
  refused({{"region", region({1}, 6)}}, 5, "for a model of 6 layers, but this model had 5");
}

}  // namespace
}  // namespace striate
