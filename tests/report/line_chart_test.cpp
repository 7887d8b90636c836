#include "striate/report/line_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "striate/base/error.h"

namespace striate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

LineChartPage page() {
  LineChartPage page{.title = "A & B", .subtitle = "<script>alert(1)</script>", .facts = {{"metric", "bi \"x\""}}};
  page.charts = {{.title = "Loss",
                  .note = "lower is better",
                  .x_name = "layers removed",
                  .y_name = "loss",
                  .series = {{.name = "inside <b>", .x = {0, 1, 2}, .y = {1.0, 1.5, 3.0}, .labels = {"a", "b", "<c>"}},
                             {.name = "outside", .x = {0, 2}, .y = {1.0, std::numeric_limits<double>::quiet_NaN()}}}}};
  return page;
}

TEST(LineChart, ShowsEveryNumberInTheDrawingAndInATable) {
  const std::string html = line_chart_page(page());
  EXPECT_THAT(html, AllOf(HasSubstr("<svg"), HasSubstr("<table>"), HasSubstr("layers removed"), HasSubstr("outside")));
  for (const char* value : {"<td>1.00", "<td>1.50", "<td>3.00"}) EXPECT_THAT(html, HasSubstr(value));
  EXPECT_THAT(html, HasSubstr("<td>-</td>"));  // a place without a value
  EXPECT_THAT(html, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
}

TEST(LineChart, EscapesWhateverItIsGiven) {
  const std::string html = line_chart_page(page());
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<b>")), Not(HasSubstr("<c>"))));
  EXPECT_THAT(html, AllOf(HasSubstr("A &amp; B"), HasSubstr("bi &quot;x&quot;"), HasSubstr("inside &lt;b&gt;")));
}

TEST(LineChart, FetchesNothingAndIsReadInTheDarkToo) {
  const std::string html = line_chart_page(page());
  EXPECT_THAT(html, AllOf(Not(HasSubstr("http://")), Not(HasSubstr("https://")), Not(HasSubstr("url("))));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
}

TEST(LineChart, AChartWithoutNumbersIsStillAPage) {
  LineChartPage empty = page();
  for (LineSeries& series : empty.charts[0].series) series = {.name = series.name};
  EXPECT_THAT(line_chart_page(empty), AllOf(HasSubstr("<svg"), Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
}

TEST(LineChart, SeriesThatDoNotFitAreABug) {
  LineChartPage broken = page();
  broken.charts[0].series[0].y.pop_back();
  EXPECT_THROW(line_chart_page(broken), Error);
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
