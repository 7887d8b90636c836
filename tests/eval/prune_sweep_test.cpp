// Sweeps over numbers of removed layers.
#include "striate/eval/prune_sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace striate {
namespace {

using testing::AllOf;
using testing::HasSubstr;

PruneSweep small_sweep() {
  PruneSweep sweep{.model = "m", .metric = "bi", .scores = "s.json", .layers = 6, .samples = 3, .curves = {}};
  SweepPoint none{.removed = 0, .layers = {}, .held_out = {}};
  none.held_out = {.loss = 1.5, .targets = 10, .questions = 4, .exact = 3};
  SweepPoint one{.removed = 1, .layers = {{2, 0.25}}, .held_out = {}};
  one.held_out = {.loss = 2.5, .targets = 10, .questions = 4, .exact = 1};
  sweep.curves = {{"outside the region", {0, 3}, {none, one}}, {"anywhere", {}, {none}}};
  return sweep;
}

TEST(PruneSweep, JsonHoldsEveryPoint) {
  const nlohmann::json json = sweep_json(small_sweep());
  EXPECT_EQ(json["format"], "striate-prune-sweep");
  EXPECT_EQ(json["curves"][0]["region"], nlohmann::json({0, 3}));
  EXPECT_EQ(json["curves"][0]["points"][1]["layers"][0]["layer"], 2);
  EXPECT_EQ(json["curves"][0]["points"][1]["loss"], 2.5);
  EXPECT_EQ(json["curves"][0]["points"][1]["accuracy"], 0.25);
  EXPECT_EQ(json["curves"][1]["points"].size(), 1U);
}

TEST(PruneSweep, ReportShowsBothCurves) {
  const std::string html = sweep_report(small_sweep());
  EXPECT_THAT(html, AllOf(HasSubstr("Held-out loss"), HasSubstr("Answers exactly right"), HasSubstr("without 2"),
                          HasSubstr("layers 0,3 stay"), HasSubstr("any layer may go")));
  PruneSweep unasked = small_sweep();
  for (SweepCurve& curve : unasked.curves) {
    for (SweepPoint& point : curve.points) point.held_out.questions = 0;
  }
  EXPECT_THAT(sweep_report(unasked), testing::Not(HasSubstr("Answers exactly right")));
  EXPECT_TRUE(std::isnan(unasked.curves[0].points[0].accuracy()));
}

}  // namespace
}  // namespace striate
