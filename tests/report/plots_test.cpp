// Dot plots, planes, plain tables and cards: every number is in the drawing and in a table, every text is text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "striate/base/error.h"
#include "striate/report/dot_plot.h"
#include "striate/report/example_card.h"
#include "striate/report/line_chart.h"
#include "striate/report/picture_uri.h"
#include "striate/report/plain_table.h"
#include "striate/report/scatter.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const double kGone = std::nan("");

DotPlot dots() {
  return {.title = "Strategies <1>",
          .note = "means & bars",
          .x_name = "visual mean, %",
          .rows = {{"all", 80, 78, 82}, {"uniform <b>", 79.5, 77, 81.25, true}, {"top", kGone}, {"one seed", 60}},
          .reference = 80,
          .reference_meaning = "all layers",
          .mark_meaning = "spread"};
}

TEST(DotPlots, EveryRowHasItsValueItsIntervalAndItsNumbers) {
  const std::string html = dot_plot_html(dots());
  EXPECT_THAT(html, AllOf(HasSubstr("<svg class=\"wide\""), HasSubstr("<svg class=\"narrow\"")));
  EXPECT_THAT(html, HasSubstr("<title>all: 80.00 (78.00 to 82.00)</title>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">all</th><td class=\"number\">80.00</td><td class=\"number\">78.00</td>"
                              "<td class=\"number\">82.00</td>"));
  EXPECT_THAT(html,
              HasSubstr("<th scope=\"row\">one seed</th><td class=\"number\">60.00</td><td class=\"number\">-</td>"));
  EXPECT_THAT(html, AllOf(HasSubstr("not measured</text>"), HasSubstr("class=\"reference\""), HasSubstr("all layers")));
  EXPECT_THAT(html, HasSubstr("The axis starts at 60, not at 0."));
  EXPECT_THAT(html, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf")), Not(HasSubstr("<b>")), Not(HasSubstr("<1>"))));
}

TEST(DotPlots, EqualValuesAndNoneAreDrawnToo) {
  EXPECT_THAT(dot_plot_html({.title = "t", .rows = {{"a", 3}, {"b", 3}}}), Not(HasSubstr("nan")));
  EXPECT_THAT(dot_plot_html({.title = "t", .rows = {{"a", kGone}}}),
              AllOf(HasSubstr("not measured"), Not(HasSubstr("nan"))));
}

TEST(DotPlots, ALongNameIsCutInTheDrawingAndWholeInTheTable) {
  const std::string name(300, 'n');
  const std::string html =
      dot_plot_html({.title = "t", .rows = {{name, 1}, {std::string(200, 'm') + "\u00e9\u00e9", 2}}});
  EXPECT_THAT(html, AllOf(HasSubstr("<th scope=\"row\">" + name + "</th>"), HasSubstr("n\u2026</text>")));
  EXPECT_THAT(html, Not(HasSubstr(">" + name + "</text>")));
}

TEST(Scatters, EveryPointHasANumberInThePlaneTheLegendAndTheTable) {
  const std::string html =
      scatter_html({.title = "Plane",
                    .note = "n",
                    .x_name = "forgetting <x>",
                    .y_name = "gain",
                    .points = {{"all", -10, 50, -12, -8, 48, 52}, {"top <i>", -2, 20}, {"gone", kGone, 3}}});
  EXPECT_THAT(html, AllOf(HasSubstr("<title>1 all</title>"), HasSubstr("<b>2</b>top &lt;i&gt;"),
                          HasSubstr("class=\"reference\"")));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">1 all</th><td class=\"number\">-10.00 (-12.00 to -8.00)</td>"
                              "<td class=\"number\">50.00 (48.00 to 52.00)</td>"));
  EXPECT_THAT(html,
              HasSubstr("<th scope=\"row\">3 gone</th><td class=\"number\">-</td><td class=\"number\">3.00</td>"));
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<b>3</b>")), Not(HasSubstr("nan")), Not(HasSubstr("<x>"))));
}

TEST(Scatters, NumbersOfPointsThatAreCloseStandApart) {
  Scatter plane{.title = "Plane", .x_name = "x", .y_name = "y", .points = {{"far", -10, 50}}};
  for (const double near : {0.0, 0.01, 0.02, 0.03}) plane.points.push_back({"near", -2 + near, 20});
  const std::string html = scatter_html(plane);
  std::vector<std::pair<double, double>> places;
  const std::string mark = "<text class=\"number\" text-anchor=\"middle\" x=\"";
  const std::size_t narrow = html.find("<svg class=\"narrow\"");
  for (std::size_t at = html.find(mark, narrow); at != std::string::npos; at = html.find(mark, at + 1)) {
    const std::size_t x = at + mark.size(), y = html.find("y=\"", x) + 3;
    places.emplace_back(std::stod(html.substr(x)), std::stod(html.substr(y)));
  }
  ASSERT_EQ(places.size(), 5U);
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k)
      EXPECT_GT(std::hypot(places[i].first - places[k].first, places[i].second - places[k].second), 16);
  }
}

TEST(PlainTables, AreEscapedAndAlignedAndOfOneLength) {
  const std::string html =
      plain_table_html({.name = "t<", .columns = {{"a<"}, {"n", true}}, .rows = {{"<x>", "1 & 2"}}});
  EXPECT_THAT(html, AllOf(HasSubstr("aria-label=\"t&lt;\""), HasSubstr("<th scope=\"col\">a&lt;</th>"),
                          HasSubstr("<th scope=\"row\">&lt;x&gt;</th><td class=\"number\">1 &amp; 2</td>")));
  EXPECT_ERROR(plain_table_html({.name = "t", .columns = {{"a"}, {"b"}}, .rows = {{"x"}}}), "a row of another length");
  EXPECT_THAT(folded_html("a<b", "<p>"), HasSubstr("<summary>a&lt;b</summary>\n<p>"));
}

TEST(LineCharts, FoldTheirTableOnRequest) {
  LineChart chart{.title = "t", .series = {{.name = "a", .x = {0, 1}, .y = {1, 2}}}, .folded = true};
  EXPECT_THAT(line_chart_html(chart),
              HasSubstr("<details class=\"folded\"><summary>The numbers of this chart</summary>"));
}

TEST(Cards, ShowPictureQuestionAndAnswersAsText) {
  const std::string html =
      example_card_html({.id = "q<1>",
                         .kind = "color",
                         .picture = picture_uri("\x89PNG\r\n\x1A\nrest"),
                         .question = "what <b>?",
                         .reference = "red",
                         .answers = {{"all", "<script>", 1}, {"top", " ", 0}, {"base", "re", 0.25}}});
  EXPECT_THAT(html, AllOf(HasSubstr("src=\"data:image/png;base64,iVBORw0KGgpyZXN0\""), HasSubstr("q&lt;1&gt;"),
                          HasSubstr("what &lt;b&gt;?"), HasSubstr("&lt;script&gt;"), HasSubstr("(empty)"),
                          HasSubstr(">0.25<")));
  EXPECT_THAT(html, Not(HasSubstr("<script>")));
  const std::string bare = example_card_html({.id = "q", .answers = {{"a", "b", 0, false}}});
  EXPECT_THAT(bare, AllOf(Not(HasSubstr("verdict")), Not(HasSubstr("reference")), Not(HasSubstr("asked"))));
  const std::string plain = example_card_html({.id = "q", .question = std::string(3000, 'x'), .reference = "r"});
  EXPECT_THAT(plain, AllOf(Not(HasSubstr("<img")), HasSubstr("(2000 more bytes)")));
}

TEST(Pictures, OfUnknownKindsAreNotShown) {
  EXPECT_EQ(picture_uri("<svg onload=alert(1)>"), "");
  EXPECT_EQ(picture_uri(""), "");
  EXPECT_EQ(picture_uri("GIF89a"), "data:image/gif;base64,R0lGODlh");
}

}  // namespace
}  // namespace striate
