#include "striate/base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "striate/base/strings.h"
#include "tests/support/terminal.h"

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
            "Train  100%  3 of 3 steps  1 min 07 s a step  in 3 min 20 s");
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

TEST(ProgressText, WhatIsSlowIsGivenByItsTime) {
  const auto rate = [](std::uint64_t done, double seconds, const std::string& unit) {
    return progress_text({.label = "x", .done = done, .unit = unit, .seconds = seconds}, false);
  };
  EXPECT_EQ(rate(1, 471, "steps"), "x  1 steps  7 min 51 s a step");
  EXPECT_EQ(rate(2, 3, "samples"), "x  2 samples  1.5 s a sample");
  EXPECT_EQ(rate(1, 12, ""), "x  1  12 s each");
  EXPECT_EQ(rate(4, 4, "steps"), "x  4 steps  1.00/s");
  EXPECT_EQ(rate(1, 4, "B"), "x  1 B  0 B/s");  // bytes are never slow
}

// The line of a run as it is at its widest.
ProgressState long_line() {
  return {.label = "Training",
          .done = 1234,
          .total = 5000,
          .unit = "steps",
          .seconds = 1234 * 471.0,
          .note = "loss 1.2345  lr 2.0e-04  1.52 k tokens/s  3.21 GB"};
}

TEST(ProgressText, LosesItsNoteFirstAndThenItsBarToFitTheTerminal) {
  const std::string counts = "1.23 k of 5.00 k steps";
  EXPECT_EQ(progress_text(long_line(), true, 150),
            "Training   24% [####                ]  " + counts +
                "  7 min 51 s a step  492 h 43 min left  loss 1.2345  lr 2.0e-04  1.52 k tokens/s  3.21 GB");
  EXPECT_EQ(progress_text(long_line(), true, 126),
            "Training   24% [####                ]  " + counts +
                "  7 min 51 s a step  492 h 43 min left  loss 1.2345  lr 2.0e-04");
  EXPECT_EQ(progress_text(long_line(), true, 104),
            "Training   24% [##        ]  " + counts + "  7 min 51 s a step  492 h 43 min left  loss 1.2345");
  EXPECT_EQ(progress_text(long_line(), true, 79),
            "Training   24%  " + counts + "  7 min 51 s a step  492 h 43 min left");
  EXPECT_EQ(progress_text(long_line(), true, 60), "Training   24%  " + counts + "  492 h 43 min left");
  EXPECT_EQ(progress_text(long_line(), true, 40), "Training   24%  " + counts);
  EXPECT_EQ(progress_text(long_line(), true, 9), "Training ");
}

TEST(ProgressText, IsNeverWiderThanItsTerminal) {
  ProgressState state = long_line();
  state.label = "学習 модель";
  for (std::size_t columns = 1; columns < 200; ++columns) {
    EXPECT_LE(progress_text(state, true, columns).size(), columns + 8)
        << columns;  // the label has 8 bytes more than columns
  }
  // Wide letters count twice, and none is cut in two.
  EXPECT_EQ(progress_text({.label = "学習学習", .done = 1, .unit = {}}, true, 5), "学習");
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
  std::size_t columns = 100;
  std::vector<std::string> written;

  std::string all() const { return join(written, ""); }
  ProgressOptions options(bool terminal) {
    return {.unit = "steps",
            .write = [this](std::string_view text) { written.emplace_back(text); },
            .terminal = terminal,
            .clock = [this] { return now; },
            .columns = [this] { return columns; }};
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

TEST(Progress, LeavesOneLineOnATerminalOfAnyWidthAlsoOneThatChanges) {
  for (const std::size_t columns : {20, 40, 79, 80, 200}) {
    Stage stage;
    stage.columns = columns;
    Progress progress("Training", 20, stage.options(true));
    for (int i = 0; i < 20; ++i) {
      stage.now += 471;
      stage.columns = columns - static_cast<std::size_t>(i % 2);
      progress.set_note("loss 1.2345  lr 2.0e-04  1.52 k tokens/s  3.21 GB");
      progress.advance();
    }
    progress.finish();
    const std::vector<std::string> lines = test::lines_on_terminal(stage.all(), columns - 1);
    ASSERT_EQ(lines.size(), 2U) << columns;
    EXPECT_THAT(lines[0], StartsWith("Training  100%")) << columns;
    EXPECT_EQ(lines[1], "");
  }
}

TEST(Progress, AnotherJobInBetweenTakesTheLineAndNoTime) {
  Stage stage;
  Progress training("Training", 100, stage.options(true));
  for (int i = 0; i < 10; ++i) {
    stage.now += 2;
    training.advance();
  }
  training.pause();
  {
    Progress evaluation("Evaluating", 2, stage.options(true));
    stage.now += 500;
    evaluation.advance();
    training.advance(0);  // shows nothing meanwhile
    EXPECT_THAT(test::lines_on_terminal(stage.all(), 100).back(), StartsWith("Evaluating   50%"));
    stage.now += 500;
    evaluation.clear();
  }
  EXPECT_THAT(test::lines_on_terminal(stage.all(), 100), testing::ElementsAre(""));
  training.resume();
  EXPECT_THAT(test::lines_on_terminal(stage.all(), 100).back(),
              HasSubstr("10 of 100 steps  2.0 s a step  3 min 00 s left"));
  training.finish();
}

TEST(Progress, ControlCharactersInItsTextsAreShownEscaped) {
  Stage stage;
  Progress progress("Reading \033[2J", 4, stage.options(true));
  progress.set_note("file\nerror: fake");
  stage.now += 1;
  progress.advance();
  EXPECT_THAT(stage.written.back(), HasSubstr("Reading \\u001b[2J"));
  EXPECT_THAT(stage.written.back(), HasSubstr("file\\u000aerror: fake"));
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

TEST(Progress, ALineThatIsDueAtTheEndIsPrintedOnce) {
  Stage stage;
  Progress progress("Train", 2, stage.options(false));
  stage.now += 60;
  progress.advance(2);
  progress.finish();
  EXPECT_THAT(stage.written, testing::ElementsAre(HasSubstr("2 of 2 steps")));
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
