// The page of a run, as text and in a browser.
#include "striate/answers/run_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/strings.h"
#include "tests/answers/small_runs.h"
#include "tests/support/browser.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kPicture = "\x89PNG\r\n\x1A\nrest";
constexpr const char* kHostile =
    "<img src=x onerror=\"parent.hacked = 1\"></article><script>parent.hacked = 1</script>";

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// Two runs over 12 questions: of the second run, 1 and 2 became right and 3 wrong; 4 is wrong in both.
class RunPages : public testing::Test {
 protected:
  RunPages()
      : runs_(12),
        parts_(compare_runs({{runs_.run("base", {"no", "no", "yes", "no", "", kHostile}),
                              runs_.run("tuned", {"yes", "yes", "no", "no", "yes"})},
                             {},
                             {.draws = 50}})) {}

  RunPage page() const {
    RunPage page{.title = "Comparison: base, tuned", .resampling = {.draws = 50}};
    for (const PartComparison& part : parts_) page.parts.push_back(page_part(part, {"base", "tuned"}));
    return page;
  }

  test::SmallRuns runs_;
  std::vector<PartComparison> parts_;
};

TEST_F(RunPages, ChangedQuestionsComeFirstThenWrongOnesThenTheOthers) {
  const std::string html = run_page(page());
  std::vector<std::string> order;
  const std::string mark = "<p class=\"id\"><b>";
  for (std::size_t at = html.find(mark); at != std::string::npos; at = html.find(mark, at + 1)) {
    order.push_back(html.substr(at + mark.size(), html.find('<', at + mark.size()) - at - mark.size()));
  }
  EXPECT_EQ(order, (std::vector<std::string>{"1", "2", "3", "5", "6", "4", "7", "8", "9", "10", "11", "12"}));
}

TEST_F(RunPages, AsManyQuestionsAsToldAreShownAndThePageSaysSo) {
  RunPage small = page();
  small.questions = 4;
  const std::string html = run_page(small);
  EXPECT_EQ(count_of(html, "<article"), 4U);
  EXPECT_THAT(html, HasSubstr("4 of 12 questions, those that changed first"));
  small.questions = 0;
  EXPECT_EQ(count_of(run_page(small), "<article"), 0U);
}

TEST_F(RunPages, TextOfModelsIsTextNotMarkup) {
  const std::string html = run_page(page());
  EXPECT_THAT(html, HasSubstr("&lt;img src=x"));
  EXPECT_THAT(html, Not(HasSubstr("<img src=x")));
  EXPECT_EQ(count_of(html, "<script>"), 1U);
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  EXPECT_THAT(html, Not(HasSubstr("script-src 'unsafe-inline'")));
}

TEST_F(RunPages, ScoresDifferencesAndSharesKeptAreOnThePage) {
  const std::string html = run_page(page());
  EXPECT_THAT(html, HasSubstr("What was kept of base"));
  EXPECT_THAT(html, HasSubstr("<b>58.33%</b>"));  // 7 of 12
  EXPECT_THAT(html, HasSubstr("<b>83.33%</b>"));
  EXPECT_THAT(html, HasSubstr("<b>142.9%</b>"));
  EXPECT_THAT(html, HasSubstr("+25.0 points"));
  EXPECT_THAT(html, HasSubstr("the middle 95% of 50 draws of the questions, seed 1"));
  EXPECT_EQ(count_of(html, "<svg class=\"interval\""), 6U);  // two runs and a difference, of two benchmarks
}

TEST_F(RunPages, PicturesAreInsideUntilTheyAreTooManyAndTheRestIsCounted) {
  RunPage with = page();
  with.parts[0].picture = [](const std::string& name) -> std::optional<std::string> {
    if (name == "2.png") return std::nullopt;
    return name == "3.png" ? "not a picture" : kPicture;
  };
  const std::string html = run_page(with);
  EXPECT_EQ(count_of(html, "src=\"data:image/png;base64,iVBORw0KGgpyZXN0\""), 10U);
  EXPECT_THAT(html, HasSubstr("2 pictures are left out"));
  with.picture_bytes = 40;  // two of 16
  const std::string few = run_page(with);
  EXPECT_EQ(count_of(few, "src=\"data:"), 2U);
  EXPECT_THAT(few, HasSubstr("10 pictures are left out"));
}

TEST_F(RunPages, WhatTheFilesOfQuestionsAreNotedForIsOnThePage) {
  RunPage noted = page();
  noted.parts[0].notes = {"3 options are <missing>"};
  EXPECT_THAT(run_page(noted), HasSubstr("note: 3 options are &lt;missing&gt;"));
}

TEST_F(RunPages, TheProtocolsOfOneRunStandSideBySide) {
  const ScoreResult result =
      score({runs_.path("tuned"), "llava-json", runs_.path("mine.json"), {"exact", "contains"}, {.draws = 20}});
  const std::string html = run_page({.title = "t", .parts = {page_part(result)}, .resampling = {.draws = 20}});
  EXPECT_THAT(html, HasSubstr("<th>contains</th>"));
  EXPECT_THAT(html, HasSubstr("<dt>judged</dt>"));
  EXPECT_EQ(count_of(html, "<article"), 12U);
  EXPECT_THAT(html, HasSubstr("<p class=\"id\"><b>3</b>"));
}

TEST(RunPage, ShowsOfSeveralPicturesThoseThatTheQuestionWasAskedWith) {
  const test::TemporaryFolder folder;
  const Benchmark& mmmu = find_benchmark("mmmu");
  std::filesystem::create_directories(folder.path() / "data");
  const json question = {{"id", "validation_Art_1"},
                         {"question", "Is <image 1> like <image 2>?"},
                         {"options", {"yes", "no"}},
                         {"question_type", "multiple-choice"},
                         {"answer", "A"},
                         {"image_1", "one.png"},
                         {"image_2", "two.png"}};
  write_file(folder.path() / "data/validation.jsonl", question.dump() + "\n");
  const auto page_of = [&](const std::string& asking) {
    json answer = {{"question_id", "validation_Art_1"}, {"text", "A"}};
    if (!asking.empty()) answer["asking"] = asking;
    write_file(folder.path() / "answers.jsonl", answer.dump() + "\n");
    const ScoreResult result =
        score({folder.path() / "answers.jsonl", "mmmu", folder.path() / "data", {"llava", "lmms-eval"}, {.draws = 20}});
    PagePart part = page_part(result);
    part.picture = [](const std::string&) -> std::optional<std::string> { return kPicture; };
    return run_page({.title = "t", .parts = {part}, .resampling = {.draws = 20}});
  };
  const std::string first_alone = page_of(find_protocol(mmmu, "llava").asking);
  EXPECT_THAT(first_alone, HasSubstr("alt=\"one.png\""));
  EXPECT_THAT(first_alone, Not(HasSubstr("two.png")));
  const std::string named = page_of(find_protocol(mmmu, "lmms-eval").asking);
  EXPECT_THAT(named, HasSubstr("alt=\"one.png\""));
  EXPECT_THAT(named, HasSubstr("alt=\"two.png\""));
  EXPECT_THAT(page_of(""), HasSubstr("alt=\"two.png\""));  // what a protocol of the page shows
}

constexpr const char* kFilters = R"js(
const shown = () => [...page.querySelectorAll("article")].filter((one) => one.getClientRects().length > 0).length;
const choose = (select, value) => { select.value = value; select.dispatchEvent(new Event("change")); return shown(); };
const selects = [...page.querySelectorAll(".filters select")];
out.all = shown();
for (const mark of ["changed", "better", "worse", "right", "wrong", "empty"]) out[mark] = choose(selects[0], mark);
choose(selects[0], "");
out.kind = choose(selects[1], selects[1].options[1].value);
out.said = page.querySelector("output").textContent;
choose(selects[1], "");
out.hacked = window.hacked || 0;
)js";

TEST_F(RunPages, InABrowserThePageFitsAndItsFiltersHideQuestions) {
  STRIATE_REQUIRE_BROWSER();
  runs_.run("tuned", {"yes", std::string(300, 'x'), "no", "no", "yes"});
  parts_ = compare_runs({{runs_.path("base"), runs_.path("tuned")}, {}, {.draws = 50}});
  const json out = test::in_browser(run_page(page()), cat(test::kPageWidths, kFilters));
  ASSERT_TRUE(out.is_object());
  for (const int width : {390, 1280}) {
    EXPECT_EQ(out.at(cat("wide", width)), width);
    EXPECT_EQ(out.at(cat("beyond", width)), 0) << width;
  }
  EXPECT_EQ(out.at("all"), 12);
  EXPECT_EQ(out.at("changed"), 4);  // 1, 3, 5, 6
  EXPECT_EQ(out.at("better"), 3);
  EXPECT_EQ(out.at("worse"), 1);
  EXPECT_EQ(out.at("right"), 6);
  EXPECT_EQ(out.at("wrong"), 6);
  EXPECT_EQ(out.at("empty"), 1);
  EXPECT_EQ(out.at("kind"), 6);
  EXPECT_EQ(out.at("said"), "6 of 12 shown");
  EXPECT_EQ(out.at("hacked"), 0);
}

}  // namespace
}  // namespace striate
