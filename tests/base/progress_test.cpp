#include "striate/base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace striate {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ProgressText, HasShareBarCountsRateAndTimeLeft) {
  EXPECT_EQ(progress_text({.label = "Reading", .done = 500, .total = 2000, .unit = "samples", .seconds = 10}, true),
            "Reading   25% [#####               ]  500 of 2.00 k samples  50/s  30 s left");
  EXPECT_EQ(progress_text({.label = "Copy", .done = 3'000'000, .total = 4'000'000, .unit = "B", .seconds = 2}, false),
            "Copy   75%  3.00 MB of 4.00 MB  1.50 MB/s  1 s left");
}

TEST(ProgressText, TheEndSaysHowLongItTook) {
  EXPECT_EQ(progress_text({.label = "Train", .done = 3, .total = 3, .unit = "steps", .seconds = 200}, false),
            "Train  100%  3 of 3 steps  0.01/s  in 3 min 20 s");
}

TEST(ProgressText, AnUnknownTotalShowsCountAndRateOnly) {
  EXPECT_EQ(progress_text({.label = "Reading", .done = 30, .total = 0, .unit = {}, .seconds = 2}, true),
            "Reading  30  15/s");
}

TEST(ProgressText, WhatAnEarlierRunDidIsNoPartOfTheRate) {
  const ProgressState state{
      .label = "Train", .done = 60, .total = 100, .unit = "steps", .seconds = 5, .before = 50, .note = "loss 1.25"};
  EXPECT_EQ(progress_text(state, false), "Train   60%  60 of 100 steps  2.00/s  20 s left  loss 1.25");
}

TEST(ProgressText, NothingDoneHasNoRate) {
  EXPECT_EQ(progress_text({.label = "Reading", .done = 0, .total = 10, .unit = {}, .seconds = 0}, false),
            "Reading    0%  0 of 10");
}

TEST(ProgressText, MoreThanTheTotalIsTheTotal) {
  EXPECT_THAT(progress_text({.label = "x", .done = 12, .total = 10, .unit = {}, .seconds = 1}, true),
              HasSubstr("100% [####################]  10 of 10"));
}

TEST(HumanDuration, HasTwoUnitsAtMost) {
  EXPECT_EQ(human_duration(-1), "0 s");
  EXPECT_EQ(human_duration(7.4), "7 s");
  EXPECT_EQ(human_duration(59.6), "1 min 00 s");
  EXPECT_EQ(human_duration(200), "3 min 20 s");
  EXPECT_EQ(human_duration(7505), "2 h 05 min");
}

// A progress whose clock the test turns and whose output it keeps.
struct Stage {
  double now = 100;
  std::vector<std::string> written;

  ProgressOptions options(bool terminal) {
    return {.unit = "steps",
            .write = [this](std::string_view text) { written.emplace_back(text); },
            .terminal = terminal,
            .clock = [this] { return now; }};
  }
};

TEST(Progress, OnATerminalIsRedrawnAtMostTenTimesASecondAndEndsItsLine) {
  Stage stage;
  Progress progress("Train", 1000, stage.options(true));
  for (int i = 0; i < 1000; ++i) {
    stage.now += 0.001;
    progress.advance();
  }
  EXPECT_GE(stage.written.size(), 8U);
  EXPECT_LE(stage.written.size(), 10U);
  progress.finish();
  EXPECT_EQ(stage.written.back(), "\n");
  const std::string last = stage.written[stage.written.size() - 2];
  EXPECT_THAT(last, StartsWith("\rTrain  100% ["));
  EXPECT_THAT(last, EndsWith("\033[K"));
}

TEST(Progress, ElsewherePrintsPlainLinesNowAndThen) {
  Stage stage;
  Progress progress("Train", 100, stage.options(false));
  for (int i = 0; i < 100; ++i) {
    stage.now += 0.25;
    progress.advance();
  }
  progress.finish();
  ASSERT_EQ(stage.written.size(), 3U);  // after 10 s, 20 s and at the end
  for (const std::string& line : stage.written) {
    EXPECT_THAT(line, StartsWith("Train "));
    EXPECT_THAT(line, EndsWith("\n"));
    EXPECT_EQ(line.find_first_of("\r\033["), std::string::npos) << line;
  }
}

TEST(Progress, FinishingTwiceShowsOneEnd) {
  Stage stage;
  Progress progress("Train", 1, stage.options(false));
  progress.advance();
  progress.finish();
  progress.finish();
  progress.advance();
  EXPECT_EQ(stage.written.size(), 1U);
}

TEST(Progress, AJobThatEndsEarlyLeavesTheCursorOnANewLine) {
  Stage stage;
  {
    Progress progress("Train", 10, stage.options(true));
    stage.now += 1;
    progress.advance();
  }
  EXPECT_EQ(stage.written.back(), "\n");
}

TEST(Progress, CountsFromSeveralThreads) {
  Stage stage;
  Progress progress("Train", 4000, stage.options(false));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) progress.advance();
    });
  }
  for (std::thread& thread : threads) thread.join();
  progress.finish();
  EXPECT_THAT(stage.written.back(), HasSubstr("4.00 k of 4.00 k steps"));
}

}  // namespace
}  // namespace striate
