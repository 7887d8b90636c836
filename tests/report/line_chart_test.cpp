#include "striate/report/line_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "striate/base/error.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr double kGap = std::numeric_limits<double>::quiet_NaN();

LineChart chart() {
  return {.title = "Loss & more",
          .note = "lower is <script>",
          .x_name = "layers removed",
          .y_name = "loss",
          .series = {{.name = "inside <b>", .x = {0, 1, 2}, .y = {1.0, 1.5, 3.0}, .labels = {"a", "b", "<c>"}},
                     {.name = "outside", .x = {0, 2}, .y = {1.0, kGap}}}};
}

TEST(LineChart, ShowsEveryNumberInTheDrawingAndInATable) {
  const std::string html = line_chart_html(chart());
  EXPECT_THAT(html, AllOf(HasSubstr("<svg"), HasSubstr("<table"), HasSubstr("layers removed"), HasSubstr("outside")));
  for (const char* value : {"<td>1.00", "<td>1.50", "<td>3.00"}) EXPECT_THAT(html, HasSubstr(value));
  EXPECT_THAT(html, HasSubstr("<td>-</td>"));  // a place without a value
  EXPECT_THAT(html, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  LineChart bare = chart();
  bare.table = false;
  EXPECT_THAT(line_chart_html(bare), Not(HasSubstr("<table")));
}

TEST(LineChart, IsDrawnForAWideAndForANarrowPage) {
  const std::string html = line_chart_html(chart());
  EXPECT_THAT(html, AllOf(HasSubstr("<svg class=\"wide\""), HasSubstr("<svg class=\"narrow\"")));
}

TEST(LineChart, EscapesWhateverItIsGiven) {
  const std::string html = line_chart_html(chart());
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<b>")), Not(HasSubstr("<c>"))));
  EXPECT_THAT(html, AllOf(HasSubstr("Loss &amp; more"), HasSubstr("inside &lt;b&gt;")));
}

TEST(LineChart, IntervalsAreBarsInTheDrawingAndRangesInTheTable) {
  LineChart with = chart();
  with.series[0].low = {0.9, 1.4, kGap};
  with.series[0].high = {1.1, 1.6, kGap};
  const std::string html = line_chart_html(with);
  EXPECT_THAT(html, AllOf(HasSubstr("class=\"bar\""), HasSubstr("<td>1.00 (0.9000 to 1.10)"), HasSubstr("<td>3.00<")));
  EXPECT_THAT(line_chart_html(chart()), Not(HasSubstr("class=\"bar\"")));
}

TEST(LineChart, SeriesThatAgreeAreBothSeen) {
  LineChart same = chart();
  same.series[1] = same.series[0];
  const std::string html = line_chart_html(same);
  // The first is broad below, the second dashed, and each stands at places of its own.
  EXPECT_THAT(html, AllOf(HasSubstr("class=\"line under\""), HasSubstr("stroke-dasharray=\"7 4\"")));
  const auto path = [&](const char* colour) {
    const std::size_t line = html.find(std::string("stroke=\"") + colour, html.find("<svg class=\"wide\""));
    const std::size_t begin = html.find(" d=\"", line) + 4;
    return html.substr(begin, html.find('"', begin) - begin);
  };
  EXPECT_THAT(path("var(--s0)"), testing::StartsWith("M"));
  EXPECT_NE(path("var(--s0)"), path("var(--s1)"));
}

TEST(LineChart, TheCaptionSaysWhereTheVerticalAxisStarts) {
  LineChart one{.title = "t", .series = {{.name = "a", .x = {0, 1}, .y = {10, 11}}}};
  EXPECT_THAT(line_chart_html(one), HasSubstr("The vertical axis starts at 10, not at 0."));
  one.series[0].y = {1, 11};
  EXPECT_THAT(line_chart_html(one), HasSubstr("The vertical axis starts at 0."));
  one.logarithmic = true;
  EXPECT_THAT(line_chart_html(one), HasSubstr("The vertical axis is logarithmic and starts at 1, not at 0."));
}

TEST(LineChart, MarkedPlacesAreBandsThatTheLegendExplains) {
  LineChart marked = chart();
  marked.marked_x = {0, 2};
  marked.mark_meaning = "a layer of the region";
  const std::string html = line_chart_html(marked);
  EXPECT_THAT(html, AllOf(HasSubstr("class=\"band\""), HasSubstr("a layer of the region")));
  EXPECT_THAT(line_chart_html(chart()), Not(HasSubstr("class=\"band\"")));
}

TEST(LineChart, ValuesThatALogarithmicAxisCannotShowAreGaps) {
  LineChart log{.title = "t", .series = {{.name = "a", .x = {0, 1, 2}, .y = {0, 0.1, 10}}}, .logarithmic = true};
  const std::string html = line_chart_html(log);
  EXPECT_THAT(html, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf")), HasSubstr("starts at 0.1")));
}

TEST(LineChart, AChartWithoutNumbersIsStillDrawn) {
  LineChart empty = chart();
  for (LineSeries& series : empty.series) series = {.name = series.name};
  EXPECT_THAT(line_chart_html(empty), AllOf(HasSubstr("<svg"), Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
}

TEST(LineChart, SeriesThatDoNotFitAreABug) {
  LineChart broken = chart();
  broken.series[0].y.pop_back();
  EXPECT_ERROR(line_chart_html(broken), "does not have one value per place");
  broken = chart();
  broken.series[0].low = {1, 1, 1};
  EXPECT_ERROR(line_chart_html(broken), "does not have one value per place");
}

TEST(LineChart, LogarithmicTicksCoverTheValuesAndNoMore) {
  using testing::DoubleNear;
  using testing::ElementsAre;
  const auto near = [](double value) { return DoubleNear(value, 1e-9); };
  EXPECT_THAT(log_axis_ticks(0.03, 0.7), ElementsAre(near(0.02), near(0.05), near(0.1), near(0.2), near(0.5), near(1)));
  EXPECT_THAT(log_axis_ticks(1, 10), ElementsAre(near(1), near(2), near(5), near(10)));
  EXPECT_THAT(log_axis_ticks(0.002, 900),
              ElementsAre(near(0.001), near(0.01), near(0.1), near(1), near(10), near(100), near(1000)));
}

TEST(LineChart, TicksAreRoundNumbersThatCoverTheValues) {
  const auto expect = [](double low, double high, const std::vector<double>& want) {
    const std::vector<double> got = axis_ticks(low, high, 5);
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-9);
  };
  expect(0, 10, {0, 2, 4, 6, 8, 10});
  expect(1.02, 1.98, {1.0, 1.2, 1.4, 1.6, 1.8, 2.0});
  expect(-3, 7, {-4, -2, 0, 2, 4, 6, 8});
  expect(2, 2, {2});
}

}  // namespace
}  // namespace striate
