// What reports say of sweeps over numbers of removed layers.
#include "striate/eval/sweep_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace striate {
namespace {

using testing::AllOf;
using testing::HasSubstr;

SweepResult small_sweep() {
  SweepResult sweep{.model = "m", .metric = "bi", .scores = "s.json", .layers = 6, .samples = 3, .curves = {}};
  SweepPoint none{.removed = 0, .layers = {}, .held_out = {}};
  none.held_out = {.loss = 1.5, .targets = 10, .questions = 4, .exact = 3, .loss_error = 0.125, .exact_error = 0.25};
  SweepPoint one{.removed = 1, .layers = {{2, 0.25}}, .held_out = {}};
  one.held_out = {.loss = 2.5, .targets = 10, .questions = 4, .exact = 1};
  sweep.curves = {{"outside the region", LayerSet(6, {0, 3}), {none, one}}, {"anywhere", LayerSet(6, {}), {none}}};
  return sweep;
}

TEST(SweepReport, JsonHoldsEveryPoint) {
  const nlohmann::json json = sweep_json(small_sweep());
  EXPECT_EQ(json["format"], "striate-prune-sweep");
  EXPECT_EQ(json["curves"][0]["region"], nlohmann::json({0, 3}));
  EXPECT_EQ(json["curves"][0]["points"][1]["layers"][0]["layer"], 2);
  EXPECT_EQ(json["curves"][0]["points"][1]["loss"], 2.5);
  EXPECT_EQ(json["curves"][0]["points"][1]["accuracy"], 0.25);
  EXPECT_EQ(json["curves"][1]["points"].size(), 1U);
  EXPECT_EQ(json["curves"][0]["points"][0]["loss_error"], 0.125);
  EXPECT_EQ(json["curves"][0]["points"][1]["loss_error"], nullptr);
  EXPECT_EQ(json["curves"][0]["points"][0]["accuracy_error"], 0.25);
}

TEST(SweepReport, IntervalsOfSharesAreWilsonsAndWidenWhereQuestionsGoTogether) {
  // 8 of 10: Wilson's 95% interval is 0.490 to 0.943.
  const EvaluationMetrics alone{.questions = 10, .exact = 8};
  EXPECT_NEAR(exact_interval(alone).low, 0.490, 1e-3);
  EXPECT_NEAR(exact_interval(alone).high, 0.943, 1e-3);
  EvaluationMetrics together = alone;
  together.exact_error = 2 * std::sqrt(0.8 * 0.2 / 10);
  EXPECT_LT(exact_interval(together).low, exact_interval(alone).low);
  together.exact_error = 0;  // of too few samples to tell: not narrower than Wilson's
  EXPECT_EQ(exact_interval(together).low, exact_interval(alone).low);
  const ShareInterval all = exact_interval({.questions = 10, .exact = 10, .exact_error = 0});
  EXPECT_NEAR(all.low, 0.722, 1e-3);
  EXPECT_NEAR(all.high, 1, 1e-12);
  EXPECT_TRUE(std::isnan(exact_interval({}).low));
}

TEST(HeldOut, TheErrorOfARatioIsThatOfItsSamples) {
  RatioError equal;  // of equal sizes: the error of a mean
  for (const double y : {1.0, 2.0, 6.0}) equal.add(2 * y, 2);
  EXPECT_NEAR(equal.value(), std::sqrt(7.0 / 3), 1e-12);  // variance 7 over 3 samples
  RatioError shared;                                      // ranks add their sums
  RatioError other;
  shared.add(2, 2);
  other.add(4, 2);
  other.add(12, 2);
  for (std::size_t i = 0; i < shared.sums().size(); ++i) shared.sums()[i] += other.sums()[i];
  EXPECT_DOUBLE_EQ(shared.value(), equal.value());
  RatioError one;
  one.add(1, 1);
  EXPECT_TRUE(std::isnan(one.value()));
}

TEST(SweepReport, ReportShowsBothCurves) {
  const std::string html = sweep_report(small_sweep());
  EXPECT_THAT(html, AllOf(HasSubstr("Held-out loss"), HasSubstr("Exact answers"), HasSubstr("without 2"),
                          HasSubstr("layers 0,3 stay"), HasSubstr("any layer may be removed"),
                          HasSubstr("<td>1.50 (1.25 to 1.75)"), HasSubstr("<td>2.50<")));
  SweepResult unasked = small_sweep();
  for (SweepCurve& curve : unasked.curves) {
    for (SweepPoint& point : curve.points) point.held_out.questions = 0;
  }
  EXPECT_THAT(sweep_report(unasked), testing::Not(HasSubstr("Exact answers")));
  EXPECT_TRUE(std::isnan(unasked.curves[0].points[0].accuracy()));
}

TEST(SweepReport, ABenchmarkHasOneChartOfItsScore) {
  SweepResult sweep = small_sweep();
  double score = 80;
  for (SweepCurve& curve : sweep.curves) {
    for (SweepPoint& point : curve.points) {
      point.held_out.benchmark = {"pope", "strict", {"F1 over all", score -= 10}, {score - 5, score + 5}, 4, 4, 0, 1,
                                  0,      0};
    }
  }
  const nlohmann::json json = sweep_json(sweep);
  EXPECT_EQ(json["benchmark"]["protocol"], "strict");
  EXPECT_EQ(json["curves"][0]["points"][1]["score"], 60);
  EXPECT_EQ(json["curves"][0]["points"][1]["score_low"], 55);
  EXPECT_FALSE(json["curves"][0]["points"][1].contains("loss"));
  EXPECT_THAT(sweep_report(sweep), AllOf(HasSubstr("pope, F1 over all"), HasSubstr("questions of pope"),
                                         testing::Not(HasSubstr("Held-out loss"))));
}

}  // namespace
}  // namespace striate
