#include "striate/report/heat_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "striate/base/error.h"
#include "striate/report/html.h"

namespace striate {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

HeatMapPage page_of(HeatMap map) {
  HeatMapPage page;
  page.title = "t";
  page.maps.push_back(std::move(map));
  return page;
}

TEST(Html, EscapesWhatMeansSomething) {
  EXPECT_EQ(html_escape("a<b>&\"c\"'d' \u00E9\u4E2D"), "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39; \u00E9\u4E2D");
  EXPECT_EQ(html_escape("x\xFFy\xC3"), "x\uFFFDy\uFFFD");
}

TEST(HeatMaps, EveryCellShowsItsNumberAndTheHighestIsMarked) {
  HeatMap map{.title = "Scores", .row_name = "layer", .rows = {"0", "1", "2"}};
  map.columns.push_back(
      {.name = "bi", .meaning = "what it is", .values = {0.25, 0.75, kNone}, .errors = {0.01, kNone, kNone}});
  const std::string html = heat_map_page(page_of(map));
  EXPECT_THAT(html, HasSubstr("<th scope=\"col\" title=\"what it is\">bi</th>"));
  EXPECT_THAT(html, HasSubstr("--v:0.000\">0.250<small>\u00B1 0.010</small>"));
  EXPECT_THAT(html,
              HasSubstr("<td class=\"c d top\" style=\"--v:1.000\" title=\"highest of this column\">0.7500</td>"));
  EXPECT_THAT(html, HasSubstr("title=\"no value\""));
  EXPECT_THAT(html, HasSubstr("0.2500 to 0.7500"));
}

TEST(HeatMaps, ATableScaleComparesAllCellsAndIsTold) {
  HeatMap map{.title = "Heads", .rows = {"0"}, .scale = HeatScale::kTable};
  for (const double value : {0.0, 1.0, 0.5}) map.columns.push_back({.name = "h", .values = {value}});
  const std::string html = heat_map_page(page_of(map));
  EXPECT_THAT(html, HasSubstr("--v:0.500"));
  EXPECT_THAT(html, HasSubstr("<span>0</span><i aria-hidden=\"true\"></i><span>1.00</span>"));
  EXPECT_THAT(html, Not(HasSubstr(" top\"")));
}

TEST(HeatMaps, EqualValuesHaveNoHighestAndEmptyTablesNoScale) {
  HeatMap equal{.title = "Equal", .rows = {"0", "1"}};
  equal.columns.push_back({.name = "x", .values = {2, 2}});
  EXPECT_THAT(heat_map_page(page_of(equal)), Not(HasSubstr("highest of this column")));
  HeatMap empty{.title = "Empty", .rows = {"0"}};
  empty.columns.push_back({.name = "x", .values = {kNone}});
  EXPECT_THAT(heat_map_page(page_of(empty)), Not(HasSubstr("class=\"scale\"")));
}

TEST(HeatMaps, ThePageNeedsNothingFromElsewhere) {
  const std::string html =
      heat_map_page({.title = "<t>", .subtitle = "s", .facts = {{"a", "<b>"}}, .warnings = {"w<"}});
  EXPECT_THAT(html, HasSubstr("<title>&lt;t&gt;</title>"));
  EXPECT_THAT(html, HasSubstr("<dd>&lt;b&gt;</dd>"));
  EXPECT_THAT(html, HasSubstr("w&lt;"));
  for (const char* part : {"<script", "<link", "@import", "url(", "http:", "https:", "src="}) {
    EXPECT_THAT(html, Not(HasSubstr(part)));
  }
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
}

TEST(HeatMaps, AColumnOfAnotherLengthIsABug) {
  HeatMap map{.title = "x", .rows = {"0", "1"}};
  map.columns.push_back({.name = "x", .values = {1}});
  EXPECT_THROW(heat_map_page(page_of(map)), Error);
}

TEST(HeatMaps, ErrorsHaveTwoDigitsAndValuesAsManyDecimals) {
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

TEST(HeatMaps, NumbersAreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.03124), "0.0312");
  EXPECT_EQ(short_number(1.204), "1.20");
  EXPECT_EQ(short_number(123.4), "123");
  EXPECT_EQ(short_number(4.1e-6), "4.1e-06");
  EXPECT_EQ(short_number(-0.5), "-0.5000");
}

}  // namespace
}  // namespace striate
