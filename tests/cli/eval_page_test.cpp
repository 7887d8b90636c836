// striate eval score and compare with --html, and what comparisons of several benchmarks print.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/answers/small_runs.h"
#include "tests/support/command.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

CommandResult page_eval(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {STRIATE_PROGRAM, "eval"});
  return run_command(arguments);
}

// A grey picture of 300 x 200 pixels as a BMP file.
std::string grey_bmp() {
  const auto little = [](std::uint32_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xFFU);
    return text;
  };
  const std::string pixels(std::size_t{300} * 200 * 3, '\x80');
  return cat("BM", little(static_cast<std::uint32_t>(54 + pixels.size()), 4), little(0, 4), little(54, 4),
             little(40, 4), little(300, 4), little(200, 4), little(1, 2), little(24, 2), little(0, 4),
             little(static_cast<std::uint32_t>(pixels.size()), 4), std::string(16, '\0'), pixels);
}

class EvalPages : public testing::Test {
 protected:
  EvalPages() : runs_(8) {
    base_ = runs_.run("base", wrong(4)).string();
    tuned_ = runs_.run("tuned", wrong(2)).string();
    runs_.put("pictures/1.png", grey_bmp());  // told by its first bytes
    runs_.put("pictures/2.png", "not a picture");
  }
  std::string page() const { return read_file(runs_.path("page.html")); }

  SmallRuns runs_{8};
  std::string base_, tuned_;
};

TEST_F(EvalPages, AScoresPageHasItsQuestionsAndSmallPictures) {
  const std::vector<std::string> arguments = {"score",
                                              "--answers",
                                              base_,
                                              "--benchmark",
                                              "llava-json",
                                              "--data",
                                              runs_.path("mine.json").string(),
                                              "--protocol",
                                              "exact",
                                              "--html",
                                              runs_.path("page.html").string()};
  const CommandResult result = page_eval(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("50.00%"));
  EXPECT_THAT(page(), HasSubstr("src=\"data:image/jpeg;base64,/9j/"));  // found by run.json
  EXPECT_THAT(page(), HasSubstr("7 pictures are left out"));
  EXPECT_LT(page().size(), 40'000U);
  EXPECT_EQ(page_eval(arguments).exit_code, 0);  // an earlier page is replaced
  runs_.put("page.html", "something else");
  const CommandResult refused = page_eval(arguments);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--html"));
  EXPECT_EQ(page(), "something else");
}

TEST_F(EvalPages, AComparisonsPageShowsEveryRunAndAsManyQuestionsAsTold) {
  const CommandResult result =
      page_eval({"compare", base_, tuned_, "--html", runs_.path("page.html").string(), "--questions", "3"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(page(), HasSubstr("Comparison: base, tuned"));
  EXPECT_THAT(page(), HasSubstr("3 of 8 questions"));
  EXPECT_THAT(page(), HasSubstr("<b>150.0%</b>"));
}

TEST_F(EvalPages, PicturesThatLeaveTheirFolderAreNotShown) {
  runs_.put("secret.png", grey_bmp());
  json sample = json::parse(read_file(runs_.path("mine.json")));
  sample[1]["image"] = "../secret.png";
  sample[2]["image"] = runs_.path("secret.png").string();
  runs_.put("mine.json", sample.dump());
  ASSERT_EQ(page_eval({"compare", base_, tuned_, "--html", runs_.path("page.html").string()}).exit_code, 0);
  const std::string html = page();
  const std::size_t first = html.find("data:image/jpeg");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(html.find("data:image/jpeg", first + 1), std::string::npos);
}

TEST_F(EvalPages, FlagsOfPagesAreChecked) {
  const CommandResult alone = page_eval({"compare", base_, tuned_, "--pictures", base_});
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_THAT(alone.err, HasSubstr("--pictures needs --html"));
  const CommandResult absent =
      page_eval({"compare", base_, tuned_, "--html", runs_.path("page.html").string(), "--pictures", "nowhere"});
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_THAT(absent.err, HasSubstr("--pictures nowhere: there is no such folder"));
}

TEST_F(EvalPages, SeveralBenchmarksPrintWhatWasKept) {
  const CommandResult result = page_eval({"compare", base_, tuned_, "--seed", "3", "--draws", "200"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("What was kept of base"));
  EXPECT_THAT(result.out, testing::ContainsRegex("llava-json \\(exact\\) +50.00%  75.00%  150.0%"));
  EXPECT_THAT(result.out, testing::ContainsRegex("mean, with pictures +150.0%"));
  EXPECT_THAT(result.out, testing::ContainsRegex("mean, text +100.0%"));
  EXPECT_THAT(result.out, HasSubstr("the middle 95% of 200 draws of the questions, seed 3"));
  EXPECT_THAT(result.out, HasSubstr("8 answered, 0 empty, 0 unparsed, 0 cut"));
  const json out = json::parse(page_eval({"compare", base_, tuned_, "--json"}).out);
  EXPECT_EQ(out.at("draws"), 1000);
  EXPECT_EQ(out.at("retention").at("rows").at(0).at("kept"), json({1.0, 1.5}));
  EXPECT_EQ(out.at("retention").at("rows").at(1).at("kind"), "text");
  EXPECT_EQ(out.at("retention").at("mean_kept").at("visual"), json({1.0, 1.5}));
}

TEST_F(EvalPages, ATwinWithoutPicturesSaysThatTheModelDidNotLook) {
  const std::string twin = runs_.run("twin", {"yes", "yes", "no", "no", "no", "no"}, -4, true).string();
  const CommandResult result = page_eval({"compare", base_, twin});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("twin, without pictures"));
  EXPECT_THAT(result.out, testing::ContainsRegex("pictures +run 1: 50.00% with, 50.00% without, difference 0.0 points "
                                                 "\\(95%: -.* to .*\\): did not look"));
  EXPECT_THAT(result.out, Not(HasSubstr("What was kept")));
  const json out = json::parse(page_eval({"compare", base_, twin, "--json"}).out);
  const json use = out.at("benchmarks").at(0).at("pictures").at(0);
  EXPECT_EQ(use.at("looked"), false);
  EXPECT_EQ(use.at("with"), 50.0);
  EXPECT_EQ(out.at("benchmarks").at(0).at("runs").at(1).at("without_pictures"), true);
}

}  // namespace
}  // namespace striate::test
