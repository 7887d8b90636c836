#include "striate/region/region_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace striate::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RegionTable, ShowsTheSetsThatWereAskedFor) {
  RegionRequest request;
  request.layers_total = 8;
  request.sets = {"uniform:2", "0,3"};
  const RegionTable table = region_table(request);
  EXPECT_EQ(table.layers, 8);
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_THAT(table.rows[0].layers, ElementsAre(0, 4));
  EXPECT_EQ(table.rows[1].spec, "0,3");
  request.sets = {"0,9"};
  EXPECT_ERROR(region_table(request), "9");
}

TEST(RegionTable, SaysOfEachRuleWhatItNamesOrWhyItDoesNot) {
  RegionRequest request;
  request.layers_total = 8;
  request.share = "2";
  const RegionTable table = region_table(request);
  EXPECT_GT(table.rows.size(), 8U);
  bool paper = false;
  for (const RegionRow& row : table.rows) {
    EXPECT_EQ(row.layers.empty(), !row.refusal.empty()) << row.spec;
    if (row.spec != "paper") continue;
    paper = true;
    EXPECT_THAT(row.refusal, HasSubstr("this decoder has 8")) << "its list is of 32 or 40 layers";
  }
  EXPECT_TRUE(paper);
}

TEST(RegionTable, HasEveryRuleThatNeedsNoFile) {
  RegionRequest request;
  request.layers_total = 8;
  request.share = "2";
  const RegionTable table = region_table(request);
  std::vector<std::string> specs;
  for (const RegionRow& row : table.rows) {
    specs.push_back(row.spec);
    if (row.spec == "middle:2") {
      EXPECT_THAT(row.layers, ElementsAre(3, 4));
    }
  }
  EXPECT_THAT(specs, ElementsAre("all", "uniform:2", "paper", "authors-script", "bottom:2", "mid-bottom:2", "mid-top:2",
                                 "middle:2", "top:2", "bottom-top:2", "random:2:1"));
}

TEST(RegionTable, NeedsOneDecoderAndAShare) {
  RegionRequest request;
  EXPECT_ERROR(region_table(request), "from `layers_total` or from `model`");
  request.layers_total = 0;
  EXPECT_ERROR(region_table(request), "`layers_total` 0 is not a number of layers");
  request.layers_total = 8;
  request.share = "0";
  EXPECT_ERROR(region_table(request), "uniform:0");
  request.model = "somewhere";
  EXPECT_ERROR(region_table(request), "`layers_total` and `model` exclude each other");
}

}  // namespace
}  // namespace striate::test
