#include "striate/report/heat_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "striate/base/error.h"
#include "striate/report/html.h"
#include "striate/report/numbers.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

TEST(Html, EscapesWhatMeansSomething) {
  EXPECT_EQ(html_escape("a<b>&\"c\"'d' \u00E9\u4E2D"), "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39; \u00E9\u4E2D");
  EXPECT_EQ(html_escape("x\xFFy\xC3"), "x\uFFFDy\uFFFD");
  EXPECT_EQ(html_escape("\033]0;title\a"), "\\u001b]0;title\\u0007");
}

TEST(HeatMaps, EveryCellShowsItsNumberAndTheHighestIsMarked) {
  HeatMap map{.title = "Scores", .row_name = "layer", .rows = {"0", "1", "2"}};
  map.columns.push_back({.name = "bi", .values = {0.25, 0.75, kNone}, .errors = {0.01, kNone, kNone}});
  const std::string html = heat_map_html(map);
  EXPECT_THAT(html, HasSubstr("--v:0.000\">0.250<small>\u00B1 0.010</small>"));
  EXPECT_THAT(html,
              HasSubstr("<td class=\"c d end top\" title=\"highest of this column\" style=\"--v:1.000\">0.7500</td>"));
  EXPECT_THAT(html, HasSubstr("title=\"no value\""));
  EXPECT_THAT(html, HasSubstr("0.2500 to 0.7500"));
}

TEST(HeatMaps, ColourIsRankSoThatOneExtremeCellDoesNotFlattenTheOthers) {
  HeatMap map{.title = "Scores", .rows = {"0", "1", "2", "3", "4"}};
  map.columns.push_back({.name = "bi", .values = {1000, 1, 2, 3, 2}});
  const std::string html = heat_map_html(map);
  EXPECT_THAT(html, HasSubstr("--v:0.000\">1.00<"));
  EXPECT_THAT(html, HasSubstr("--v:0.333\">2.00<"));  // equal values have equal colours
  EXPECT_THAT(html, HasSubstr("--v:0.667\">3.00<"));
  EXPECT_THAT(html, HasSubstr("--v:1.000\">1000<"));
}

TEST(HeatMaps, ARowRankMarksTheLowestOfEachRow) {
  HeatMap map{.title = "Blocks", .rows = {"1", "2"}, .ranks = RankAmong::kRow};
  map.columns.push_back({.name = "0", .values = {0.3, 0.9}});
  map.columns.push_back({.name = "1", .values = {0.5, 0.7}});
  const std::string html = heat_map_html(map);
  const std::string lowest = " end bottom\" title=\"lowest of this row\" style=\"--v:0.000\">";
  EXPECT_THAT(html, HasSubstr(lowest + "0.3000"));
  EXPECT_THAT(html, HasSubstr(lowest + "0.7000"));
  EXPECT_THAT(html, Not(HasSubstr("highest of this column")));
}

TEST(HeatMaps, ATableRankComparesAllCellsAndMarksNone) {
  HeatMap map{.title = "Heads", .rows = {"0"}, .ranks = RankAmong::kTable};
  for (const double value : {0.0, 1.0, 0.5}) map.columns.push_back({.name = "h", .values = {value}});
  const std::string html = heat_map_html(map);
  EXPECT_THAT(html, HasSubstr("--v:0.500"));
  EXPECT_THAT(html, HasSubstr("colour is rank: lowest of the table"));
  EXPECT_THAT(html, Not(HasSubstr(" end ")));
}

TEST(HeatMaps, MarkedRowsAndColumnsAreDrawnApartAndExplained) {
  HeatMap map{.title = "Scores", .rows = {"0", "1"}, .marked_rows = {false, true}, .mark_meaning = "of the region"};
  map.columns.push_back({.name = "bi", .values = {1, 2}});
  map.columns.push_back({.name = "7", .values = {1, 2}, .marked = true});
  const std::string html = heat_map_html(map);
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\" class=\"in\">1</th>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"col\" class=\"in\">7</th>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">0</th>"));
  EXPECT_THAT(html, HasSubstr("of the region"));
  map.marked_rows = {};
  map.columns.pop_back();
  EXPECT_THAT(heat_map_html(map), Not(HasSubstr("of the region")));
}

TEST(HeatMaps, WhatAColumnMeansIsWrittenBelowTheTable) {
  HeatMap map{.title = "Scores", .rows = {"0"}};
  map.columns.push_back({.name = "bi", .meaning = "Block <Influence>.", .values = {1}});
  EXPECT_THAT(heat_map_html(map), HasSubstr("<dt>bi</dt><dd>Block &lt;Influence&gt;.</dd>"));
}

TEST(HeatMaps, EqualValuesHaveNoHighestAndEmptyTablesNoScale) {
  HeatMap equal{.title = "Equal", .rows = {"0", "1"}};
  equal.columns.push_back({.name = "x", .values = {2, 2}});
  EXPECT_THAT(heat_map_html(equal), Not(HasSubstr("highest of this column")));
  HeatMap empty{.title = "Empty", .rows = {"0"}};
  empty.columns.push_back({.name = "x", .values = {kNone}});
  EXPECT_THAT(heat_map_html(empty), Not(HasSubstr("class=\"scale\"")));
}

TEST(HeatMaps, AColumnOfAnotherLengthIsABug) {
  HeatMap map{.title = "x", .rows = {"0", "1"}};
  map.columns.push_back({.name = "x", .values = {1}});
  EXPECT_ERROR(heat_map_html(map), "does not have one value per row");
  map.columns[0].values = {1, 2};
  map.marked_rows = {true};
  EXPECT_ERROR(heat_map_html(map), "the marks do not have one value per row");
}

TEST(Numbers, ErrorsHaveTwoDigitsAndValuesAsManyDecimals) {
  const auto text = [](double value, double error) {
    const Measured both = measured(value, error);
    return both.value + " " + both.error;
  };
  EXPECT_EQ(text(1.01049, 0.00062), "1.01049 0.00062");
  EXPECT_EQ(text(0.5, 0.02), "0.500 0.020");
  EXPECT_EQ(text(12.3456, 3.2), "12.3 3.2");
  EXPECT_EQ(text(0.25, 0.0), "0.2500 0");
  EXPECT_EQ(text(0.25, 1e-9), "0.2500 1.0e-09");
}

TEST(Numbers, TheyAreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.03124), "0.0312");
  EXPECT_EQ(short_number(1.204), "1.20");
  EXPECT_EQ(short_number(123.4), "123");
  EXPECT_EQ(short_number(4.1e-6), "4.1e-06");
  EXPECT_EQ(short_number(-0.5), "-0.5000");
}

}  // namespace
}  // namespace striate
