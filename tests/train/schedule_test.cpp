#include "striate/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "striate/base/error.h"

namespace striate {
namespace {

TEST(Schedule, CosineIsTransformersOwn) {
  // get_cosine_schedule_with_warmup(num_warmup_steps=3, num_training_steps=10), evaluated by transformers.
  const double expected[] = {0.0,
                             0.3333333333333333,
                             0.6666666666666666,
                             1.0,
                             0.9504844339512095,
                             0.8117449009293668,
                             0.6112604669781572,
                             0.3887395330218428,
                             0.1882550990706332,
                             0.04951556604879043,
                             0.0};
  const Schedule schedule{ScheduleKind::kCosine, 10, 3};
  for (int step = 0; step <= 10; ++step) EXPECT_NEAR(schedule.factor(step), expected[step], 1e-15) << step;
}

TEST(Schedule, LinearFallsToZeroAtTheEnd) {
  const Schedule schedule{ScheduleKind::kLinear, 6, 2};
  const double expected[] = {0, 0.5, 1, 0.75, 0.5, 0.25, 0};
  for (int step = 0; step <= 6; ++step) EXPECT_DOUBLE_EQ(schedule.factor(step), expected[step]) << step;
}

TEST(Schedule, ConstantStaysAfterWarmup) {
  const Schedule schedule{ScheduleKind::kConstant, 6, 2};
  EXPECT_DOUBLE_EQ(schedule.factor(1), 0.5);
  EXPECT_DOUBLE_EQ(schedule.factor(2), 1);
  EXPECT_DOUBLE_EQ(schedule.factor(100), 1);
}

TEST(Schedule, WithoutWarmupBeginsAtTheFullRate) {
  for (const ScheduleKind kind : {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine}) {
    EXPECT_DOUBLE_EQ((Schedule{kind, 10, 0}.factor(0)), 1);
  }
}

TEST(Schedule, NeverRisesAgainPastTheEnd) {
  for (const ScheduleKind kind : {ScheduleKind::kLinear, ScheduleKind::kCosine}) {
    EXPECT_DOUBLE_EQ((Schedule{kind, 10, 2}.factor(15)), 0);
  }
}

TEST(Schedule, AShareOfTheStepsIsRoundedUp) {
  EXPECT_EQ(warmup_steps_of(0.03, 5197), 156);
  EXPECT_EQ(warmup_steps_of(0.03, 10), 1);
  EXPECT_EQ(warmup_steps_of(0, 10), 0);
}

TEST(Schedule, AWarmupNeverTakesTheWholeRun) {
  EXPECT_EQ(warmup_steps_of(0.03, 1), 0);
  EXPECT_EQ(warmup_steps_of(1, 1), 0);
  EXPECT_EQ(warmup_steps_of(1, 8), 7);
  EXPECT_EQ(warmup_steps_of(0.03, 2), 1);
  for (const ScheduleKind kind : {ScheduleKind::kConstant, ScheduleKind::kLinear, ScheduleKind::kCosine}) {
    for (const std::int64_t steps : {1, 2, 3, 100}) {
      EXPECT_FALSE((Schedule{kind, steps, warmup_steps_of(0.03, steps)}.is_always_zero())) << steps;
      EXPECT_FALSE((Schedule{kind, steps, 0}.is_always_zero())) << steps;
    }
    EXPECT_TRUE((Schedule{kind, 1, 1}.is_always_zero()));
    EXPECT_FALSE((Schedule{kind, 3, 5}.is_always_zero()));
  }
}

TEST(Schedule, UnknownNamesAreRefusedWithTheNearest) {
  EXPECT_EQ(parse_schedule("linear"), ScheduleKind::kLinear);
  try {
    parse_schedule("cosin");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "did you mean cosine?");
  }
}

}  // namespace
}  // namespace striate
