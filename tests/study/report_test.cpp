// A study's report: its files, its page as text and in a browser.
#include "striate/study/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/files.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/study/results_file.h"
#include "tests/study/small_study.h"
#include "tests/support/browser.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;

using striate::test::TemporaryFolder;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr Resampling kFewDraws{.draws = 60};
constexpr const char* kPng = "\x89PNG\r\n\x1A\nrest";

std::size_t count_in(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::vector<std::string> headings(const std::string& html) {
  std::vector<std::string> out;
  for (std::size_t at = html.find("<h2>"); at != std::string::npos; at = html.find("<h2>", at + 1))
    out.push_back(html.substr(at + 4, html.find("</h2>", at) - at - 4));
  return out;
}

TEST(StudyReport, IsAPageTheResultsAndEveryTableTwice) {
  const TemporaryFolder folder;
  const StudyResults study = test::rich_study();
  const ReportFiles files = write_report(study, folder.path(), kFewDraws);
  EXPECT_TRUE(is_file(files.report));
  EXPECT_EQ(results_text(read_results(files.results)), results_text(study));
  std::vector<std::string> names;
  for (const auto& table : files.tables) {
    EXPECT_TRUE(is_file(table)) << table;
    names.push_back(table.filename().string());
  }
  for (const char* name :
       {"claims", "strategies", "paper-strategies", "paper-sizes", "paper-text", "benchmarks", "kinds", "sizes", "data",
        "offsets", "modules", "rates", "reversion", "pruning", "healing", "losses", "cost", "models"}) {
    EXPECT_THAT(names, AllOf(testing::Contains(cat(name, ".csv")), testing::Contains(cat(name, ".tex"))));
  }
  EXPECT_EQ(files.summary, study_summary(study, kFewDraws));
  EXPECT_EQ(read_file(folder.path() / "summary.txt"), files.summary + "\n");
  // Again, over what is there.
  EXPECT_EQ(write_report(study, folder.path(), kFewDraws).tables.size(), files.tables.size());
}

TEST(StudyReport, TablesThatTheStudyNoLongerHasAreRemovedAndNothingElse) {
  const TemporaryFolder folder;
  const fs::path tables = folder.path() / "tables";
  StudyResults study = test::rich_study();
  write_report(study, folder.path(), kFewDraws);
  EXPECT_TRUE(is_file(tables / "healing.csv"));
  write_file(OutputPath::inside(tables, "mine.csv"), "a\n");
  std::erase_if(study.models, [](const StudiedModel& model) { return model.healing.has_value(); });
  write_report(study, folder.path(), kFewDraws);
  EXPECT_FALSE(is_file(tables / "healing.csv") || is_file(tables / "healing.tex"));
  EXPECT_TRUE(is_file(tables / "pruning.csv"));
  EXPECT_TRUE(is_file(tables / "mine.csv"));
  // A list that someone else wrote removes nothing.
  for (const char* list : {R"({"../mine": "x", "mine.csv": "x"})", "[1", "[]"}) {
    write_file(OutputPath::inside(tables, "index.json"), list);
    write_report(study, folder.path(), kFewDraws);
    EXPECT_TRUE(is_file(tables / "mine.csv"));
  }
}

TEST(StudyReport, ScoresOfLayersMarkARegionThatAllScoredModelsHave) {
  const auto page_of = [](const std::string& strategy) {
    StudyResults study = test::small_study();
    std::erase_if(study.models, [&](const StudiedModel& m) { return !m.tuning || m.tuning->strategy != strategy; });
    return report_html(study, "", kFewDraws);
  };
  const std::string mark = "<th scope=\"row\" class=\"in\">";
  EXPECT_EQ(count_in(page_of("uniform"), mark), 2U);
  const std::string random = page_of("random");
  EXPECT_THAT(random, HasSubstr("Scores of layers: random 2 of 8"));
  EXPECT_EQ(count_in(random, mark), 0U);  // two draws, of two layers each
}

TEST(StudyReport, TheTablesHaveTheNumbers) {
  const TemporaryFolder folder;
  write_report(test::rich_study(), folder.path(), kFewDraws);
  const auto lines = [&](const char* name) { return split(read_file(folder.path() / "tables" / name), '\n'); };
  const std::vector<std::string> strategies = lines("strategies.csv");
  EXPECT_THAT(strategies[0], testing::StartsWith("strategy,layers,seeds,models,\"visual mean, %\",visual mean low"));
  EXPECT_THAT(strategies[1], testing::StartsWith("all,0-7,3,3,80"));
  EXPECT_THAT(strategies[2], testing::StartsWith("uniform 2 of 8,\"0,4\",3,3,80"));
  EXPECT_THAT(strategies[5], testing::StartsWith("random 2 of 8,several,3,6,70"));
  EXPECT_EQ(strategies.size(), 7U);          // and an end
  EXPECT_EQ(lines("sizes.csv").size(), 6U);  // head, all, 1, 2, 4, end
  EXPECT_EQ(lines("data.csv").size(), 8U);
  EXPECT_EQ(lines("offsets.csv").size(), 4U);
  EXPECT_EQ(lines("rates.csv").size(), 5U);
  EXPECT_EQ(lines("pruning.csv").size(), 2U + 1 + 4 + 1 + 12);
  // Two layers outside cost 4 points, and nothing in healing was lost.
  EXPECT_THAT(read_file(folder.path() / "tables/pruning.csv"),
              HasSubstr("uniform 2 of 8,outside,angular,2,\"2,5\",3,76"));
  EXPECT_THAT(read_file(folder.path() / "tables/healing.csv"), HasSubstr("uniform 2 of 8,outside,2,beside-cuts,3,76"));
  EXPECT_THAT(read_file(folder.path() / "tables/claims.csv"),
              HasSubstr("\na,\"tuning 2 of 8 layers, evenly spread, keeps at least 99% of the visual mean of tuning "
                        "all\",holds,100,100,100,%,"));
}

TEST(StudyReport, GroupsThatDifferInTheLearningRateAloneAreToldApart) {
  StudyResults study = test::small_study();
  const StudiedModel other = test::at_another_rate(study);
  study.models.push_back(other);
  const TemporaryFolder folder;
  write_report(study, folder.path(), kFewDraws);
  EXPECT_THAT(read_file(folder.path() / "tables/cost.csv"),
              AllOf(HasSubstr("\"uniform 2 of 8, learning rate 0.0001\",1,"),
                    HasSubstr("\"uniform 2 of 8, learning rate 0.002\",3,"), HasSubstr("\nbottom 2 of 8,3,")));
}

TEST(StudyReport, ScoresByBenchmarkSayWhereSeedsAreMissing) {
  StudyResults study = test::small_study();
  const std::string mark = "Over fewer than 3 seeds: ";
  EXPECT_THAT(report_html(study, "", kFewDraws), Not(HasSubstr(mark)));
  std::erase_if(study.models, [](const StudiedModel& model) { return model.cell == "tune-top-3-2"; });
  for (StudiedModel& model : study.models) {
    if (model.cell == "tune-uniform-1-2") model.benchmarks.erase("facts");
  }
  const std::string html = report_html(study, "", kFewDraws);
  EXPECT_EQ(count_in(html, mark + "uniform 2 of 8 on facts (2); top 2 of 8 on see (2); top 2 of 8 on facts (2)."), 2U);
}

TEST(StudyReport, ThePageHasEverySectionAndSaysWhatIsMissing) {
  const std::string html = report_html(test::rich_study(), "", kFewDraws);
  EXPECT_THAT(headings(html), testing::IsSupersetOf({"The paper's claims, tested",
                                                     "Visual accuracy by strategy",
                                                     "Difference from tuning all layers",
                                                     "Difference from layers drawn at random",
                                                     "Text accuracy by strategy",
                                                     "Strategies",
                                                     "What was won and what was forgotten",
                                                     "Regions",
                                                     "Visual accuracy by the number of layers tuned",
                                                     "Visual accuracy by the share of the data",
                                                     "Where the grid begins",
                                                     "Which linears",
                                                     "Reverted layers",
                                                     "Visual accuracy after removing layers by angular",
                                                     "Visual accuracy after removing layers by bi",
                                                     "Healing",
                                                     "Scores of layers: uniform 2 of 8",
                                                     "Loss while training (1 of 2)",
                                                     "Loss while training (2 of 2)",
                                                     "Learning rates tried",
                                                     "Time of tuning",
                                                     "Questions and answers",
                                                     "Failed cells"}));
  EXPECT_THAT(html, AllOf(HasSubstr("1 cell failed"), HasSubstr("2 cells are not finished yet")));
  EXPECT_THAT(html, Not(HasSubstr("Not measured in this study")));
  const std::string small = report_html(test::small_study(), "", kFewDraws);
  EXPECT_THAT(small, HasSubstr("Not part of this study: numbers of layers, shares of the data, offsets "
                               "and kinds of linears, reversion, pruning, healing."));
  EXPECT_THAT(headings(small), Not(testing::Contains("Healing")));
  EXPECT_THAT(small, Not(HasSubstr("not finished")));
}

TEST(StudyReport, WithoutTextTasksForgettingIsTheLossOnTexts) {
  StudyResults study = test::small_study();
  for (StudiedModel& model : study.models) model.benchmarks.erase("facts");
  const std::string html = report_html(study, "", kFewDraws);
  EXPECT_THAT(html, HasSubstr("fall of the loss on held-out texts, nats"));
  // all: 0.1 before, 0.4 after tuning; 80 points against 30.
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">1 all</th><td class=\"number\">-0.3000 (-0.3000 to -0.3000)</td><td "
                              "class=\"number\">50.00 ("));
}

TEST(StudyReport, AnEmptyStudyHasAPage) {
  StudyResults study;
  study.name = "new";
  study.cells = 5;
  EXPECT_THAT(report_html(study, ""),
              AllOf(HasSubstr("Nothing has been measured yet."), HasSubstr("5 cells are not finished")));
  EXPECT_EQ(study_summary(study), "The study new has measured nothing yet.");
  study = test::small_study();
  study.models.resize(2);
  const std::string html = report_html(study, "", kFewDraws);
  EXPECT_THAT(html, AllOf(HasSubstr("have not both been tuned yet."), HasSubstr("not measured")));
}

TEST(StudyReport, RefusesResultsThatDoNotFitTogether) {
  StudyResults study = test::small_study();
  study.models[3].benchmarks["see"].questions.pop_back();
  EXPECT_ERROR(report_html(study, ""), "the benchmark see has 100 questions, 99 scores");
}

TEST(StudyReport, FetchesNothingAndTakesTextsForTexts) {
  const std::string html = report_html(test::rich_study(), "", kFewDraws);
  for (const char* part : {"<script", "<link", "@import", "url(", "http:", "https:", "src=\"", "<b>this", "finite <b>"})
    EXPECT_THAT(html, Not(HasSubstr(part)));
  EXPECT_THAT(html, AllOf(HasSubstr("&lt;img src=x onerror"), HasSubstr("is &lt;b&gt;this&lt;/b&gt; bold?")));
  EXPECT_THAT(html, AllOf(Not(HasSubstr(">nan")), Not(HasSubstr("nan<")), Not(HasSubstr("NaN"))));
}

TEST(StudyReport, SmallPicturesAreInside) {
  const TemporaryFolder folder;
  const StudyResults study = test::rich_study();
  for (int i = 0; i < 50; ++i) {
    const std::string bytes = i % 5 == 0 ? "no picture" : i % 5 == 1 ? kPng + std::string(100'000, 'x') : kPng;
    write_file(folder.path() / cat(i, ".png"), bytes);
  }
  StudyResults with = study;
  for (AskedQuestion& question : with.benchmarks[0].questions)
    question.picture = question.picture.substr(question.picture.find('/') + 1);
  const std::string html = report_html(with, folder.path(), kFewDraws);
  EXPECT_EQ(count_in(html, "<article>"), 24U);
  EXPECT_GT(count_in(html, "src=\"data:image/png;base64,iVBORw0KGgpyZXN0\""), 3U);
  EXPECT_THAT(html, HasSubstr("left out: not found, no picture, or too large."));
  EXPECT_LT(html.size(), 600'000U);
}

TEST(StudyReport, WhereTheModelsDifferIsShownFirst) {
  const StudyResults study = test::small_study([](const std::string& strategy, std::uint64_t) -> test::SmallScores {
    return strategy == "uniform" ? test::SmallScores{0.5, 0.5} : test::SmallScores{0.53, 0.5};
  });
  const std::string html = report_html(study, "", kFewDraws);
  const std::size_t first = html.find("<p class=\"id\"><b>");
  // With seed 1 the questions 51, 52 and 53 are right in all alone.
  EXPECT_THAT(html.substr(first, 60),
              testing::AnyOf(HasSubstr("see, see-51"), HasSubstr("see, see-52"), HasSubstr("see, see-53")));
}

TEST(StudyReport, EveryChartHasItsNumbersInATable) {
  const std::string html = report_html(test::rich_study(), "", kFewDraws);
  std::size_t charts = 0;
  for (std::size_t at = html.find("<figure>"); at != std::string::npos; at = html.find("<figure>", at + 1)) {
    ++charts;
    const std::size_t end = html.find("</section>", at);
    const std::string section = html.substr(at, end - at);
    EXPECT_THAT(section, HasSubstr("<details class=\"folded\"><summary>The numbers of this chart</summary>"));
    const std::size_t table = section.find("<details");
    // What is said of each point is a cell of the table: "NAME: VALUE (LOW to HIGH)".
    for (std::size_t title = section.find("<title>"); title < table; title = section.find("<title>", title + 1)) {
      const std::string words = section.substr(title + 7, section.find("</title>", title) - title - 7);
      const std::size_t value = words.rfind(": ");
      if (value == std::string::npos) continue;  // of a plane: the point's name
      const std::string number = words.substr(value + 2, words.find_first_of(" ,(", value + 2) - value - 2);
      EXPECT_THAT(section.substr(table), HasSubstr(number)) << words;
    }
  }
  EXPECT_GT(charts, 8U);
}

TEST(StudyReport, SeveralSettingsHaveSectionsAndTablesOfTheirOwn) {
  StudyResults study = test::small_study();
  const std::vector<StudiedModel> models = study.models;
  study.lvlms.push_back({"other", 8, 1000});
  for (StudiedModel model : models) {
    model.model = "other";
    model.cell += " of the other";
    study.models.push_back(model);
  }
  const TemporaryFolder folder;
  const ReportFiles files = write_report(study, folder.path(), kFewDraws);
  EXPECT_TRUE(is_file(folder.path() / "tables/strategies-1.csv"));
  EXPECT_TRUE(is_file(folder.path() / "tables/strategies-2.csv"));
  EXPECT_THAT(read_file(files.report), AllOf(HasSubstr("<h2 class=\"setting\">mini on scenes</h2>"),
                                             HasSubstr("<h2 class=\"setting\">other on scenes</h2>")));
  EXPECT_THAT(files.summary, AllOf(HasSubstr("layers of mini,"), HasSubstr("layers of other,")));
}

TEST(StudyReport, InABrowserThePageFitsAndRunsNothing) {
  STRIATE_REQUIRE_BROWSER();
  const nlohmann::json out = striate::test::in_browser(
      report_html(test::rich_study(), "", kFewDraws),
      cat("for (const one of page.querySelectorAll(\"details\")) one.open = true;\n", striate::test::kPageWidths,
          "out.charts = page.querySelectorAll(\"figure\").length; out.hacked = window.hacked || 0;\n",
          "out.drawn = [...page.querySelectorAll(\"figure svg.wide\")].filter((one) => one.getClientRects().length > "
          "0).length;\n"));
  ASSERT_TRUE(out.is_object());
  for (const int width : {390, 1280}) {
    EXPECT_EQ(out.at(cat("wide", width)), width);
    EXPECT_EQ(out.at(cat("beyond", width)), 0) << width;
  }
  EXPECT_EQ(out.at("charts"), out.at("drawn"));  // at 1280
  EXPECT_GT(out.at("charts"), 8);
  EXPECT_EQ(out.at("hacked"), 0);
}

TEST(StudyReport, IsPrintedOnPages) {
  STRIATE_REQUIRE_BROWSER();
  const std::string pdf = striate::test::printed(report_html(test::rich_study(), "", kFewDraws));
  EXPECT_THAT(pdf.substr(0, 5), "%PDF-");
  EXPECT_GT(count_in(pdf, "/Type /Page\n"), 5U);
}

}  // namespace
}  // namespace striate::study
