// scripts/findings.py: tables of a study's folder on a page of documentation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/files.h"
#include "striate/study/report.h"
#include "tests/study/small_study.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::study {
namespace {

using testing::HasSubstr;

class FindingsPage : public testing::Test {
 protected:
  void SetUp() override {
    if (striate::test::run_command({"python3", "--version"}).exit_code != 0) GTEST_SKIP() << "there is no python3";
    write_report(test::rich_study(), folder_.path() / "study", {.draws = 50});
  }
  std::filesystem::path page() const { return folder_.path() / "page.md"; }
  striate::test::CommandResult findings(const std::string& text, const std::vector<std::string>& more = {}) const {
    write_file(page(), text);
    std::vector<std::string> arguments = {"python3", (striate::test::sources() / "scripts/findings.py").string(),
                                          "--page", page().string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.push_back("quick=" + (folder_.path() / "study").string());
    return striate::test::run_command(arguments);
  }

  striate::test::TemporaryFolder folder_;
};

TEST_F(FindingsPage, HasTheStudysNumbersBetweenItsMarkers) {
  const std::string page_text =
      "Before.\n<!-- table strategies of quick: strategy, layers, visual mean, share of all layers' mean "
      "-->\nold\n<!-- end -->\n"
      "<!-- table strategies of other -->\nkept\n<!-- end -->\n<!-- summary of quick -->\n<!-- end -->\nAfter.\n";
  ASSERT_EQ(findings(page_text).exit_code, 0);
  const std::string text = read_file(page());
  EXPECT_THAT(
      text,
      HasSubstr(
          "Before.\n<!-- table strategies of quick: strategy, layers, visual mean, share of all layers' mean -->\n"
          "| strategy | layers | visual mean, % | share of all layers' mean, % |\n|---|---|---|---|\n| all | 0-7 | 80 "
          "("));
  EXPECT_THAT(text, HasSubstr("| random 2 of 8 | several | 70 ("));
  EXPECT_THAT(text, HasSubstr("<!-- table strategies of other -->\nkept\n<!-- end -->"));
  EXPECT_THAT(text, HasSubstr("<!-- summary of quick -->\nTuning 2 of 8 layers of mini, evenly spread, reached"));
  EXPECT_THAT(text, testing::EndsWith("<!-- end -->\nAfter.\n"));
  EXPECT_EQ(findings(text, {"--check"}).exit_code, 0);
  EXPECT_EQ(read_file(page()), text);
  const auto stale = findings(page_text, {"--check"});
  EXPECT_EQ(stale.exit_code, 1);
  EXPECT_THAT(stale.err, HasSubstr("does not fit the studies"));
}

TEST_F(FindingsPage, ThatAsksForWhatIsNotThereIsRefused) {
  EXPECT_THAT(findings("<!-- table absent of quick -->\n<!-- end -->\n").err, HasSubstr("absent.csv"));
  EXPECT_THAT(findings("<!-- table sizes of quick: strategy, colour -->\n<!-- end -->\n").err,
              HasSubstr("has no column \"colour\"; it has: strategy; layers"));
  EXPECT_THAT(findings("nothing\n").err, HasSubstr("has no table of a study quick"));
}

// What the repository's page asks for is what studies have.
TEST_F(FindingsPage, OfTheRepositoryFitsTheTables) {
  std::string text = read_file(striate::test::sources() / "docs/findings.md");
  for (const char* study : {" of paper", " of nlvr"}) {
    for (std::size_t at = text.find(study); at != std::string::npos; at = text.find(study, at + 1)) {
      const bool marker = text.rfind("<!--", at) != std::string::npos && text.find("-->", text.rfind("<!--", at)) > at;
      if (marker) text.replace(at, std::string(study).size(), " of quick");
    }
  }
  const auto result = findings(text);
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

}  // namespace
}  // namespace striate::study
