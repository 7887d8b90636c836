// The page of a run: made of its records, whatever is missing or damaged among them.
#include "striate/train/training_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/browser.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TrainingPages : public testing::Test {
 protected:
  TrainingPages() {
    write_file(run() / "run.json", record().dump());
    std::string lines;
    for (int step = 1; step <= 150; ++step) {
      lines += json{{"step", step},
                    {"loss", 200.0 / step},
                    {"lr", {{"adapter", 2e-4}, {"projector", 1e-3}}},
                    {"tokens_per_s", 1500},
                    {"memory_bytes", 300'000'000 + step}}
                   .dump() +
               "\n";
      if (step % 50 == 0) {
        lines += json{{"step", step}, {"eval_loss", 1.0 / step}, {"eval_accuracy", step / 200.0}}.dump() + "\n";
      }
    }
    write_file(run() / "metrics.jsonl", lines);
    std::filesystem::create_directories(run() / "eval");
    write_file(run() / "eval/step-000050.jsonl",
               json{{"question_id", "old"}, {"text", "old"}, {"exact", false}}.dump());
    write_file(run() / "eval/step-000150.jsonl",
               json{{"question_id", "q1"}, {"reference", "red"}, {"text", "red"}, {"exact", true}}.dump() + "\n" +
                   json{{"question_id", "q2"}, {"reference", "blue"}, {"text", "<script>"}, {"exact", false}}.dump() +
                   "\n");
  }

  const std::filesystem::path& run() const { return folder_.path(); }

  static json record() {
    return {{"command", "train"},
            {"version", "1.2.3"},
            {"model", {{"family", "llava"}, {"folder", "/models/<base>"}}},
            {"region", {{"spec", "uniform:2"}, {"layers", {0, 4}}, {"of", 8}, {"list", "0,4"}}},
            {"hardware", {{"cpu", "a processor"}, {"device", "cpu"}, {"compute", "fp32"}}},
            {"trained_parameters", 80'000},
            {"steps", 150},
            {"started", "2026-01-02T03:04:05Z"},
            {"result", {{"done", true}, {"steps", 150}, {"seconds", 75}, {"samples", 2000}, {"bad_samples", 3}}}};
  }

  test::TemporaryFolder folder_;
};

TEST_F(TrainingPages, ShowsWhatTheRecordsSay) {
  const std::string html = training_page(run());
  for (const char* title : {"Loss", "Learning rate", "Speed", "Memory", "Loss on held-out samples",
                            "Exact answers to held-out questions", "Answers to held-out questions"}) {
    EXPECT_THAT(html, HasSubstr(cat("<h2>", title, "</h2>")));
  }
  EXPECT_THAT(html, AllOf(HasSubstr("layers 0,4 of 8 (uniform:2)"), HasSubstr("/models/&lt;base&gt;"),
                          HasSubstr("150 of 150"), HasSubstr("300 MB"), HasSubstr("3 samples could not be used")));
  EXPECT_THAT(html, AllOf(HasSubstr("&lt;script&gt;"), Not(HasSubstr("<script")), Not(HasSubstr(">old<"))));
  EXPECT_LT(html.find("<b>q2</b>"), html.find("<b>q1</b>"));  // the wrong one first
  EXPECT_THAT(html, Not(HasSubstr("has not come to its end")));
}

TEST_F(TrainingPages, JoinsManyStepsToMeans) {
  // 150 steps in windows of three: the first is the mean of 200, 100 and 66.7.
  EXPECT_THAT(training_page(run()), HasSubstr("<tr><th scope=\"row\">3</th><td>122</td>"));
}

TEST_F(TrainingPages, IsMadeOfWhatIsThere) {
  std::filesystem::remove_all(run() / "eval");
  write_file(run() / "metrics.jsonl",
             "{\"step\": 1, \"loss\": \"nan\"}\nno JSON\n[1]\n{\"loss\": 2}\n{\"step\": 2, \"los");
  json bare = record();
  bare["result"] = nullptr;
  bare["region"] = {{"of", 1e300}, {"layers", {-1, "x", 99}}};
  write_file(run() / "run.json", bare.dump());
  const std::string html = training_page(run());
  EXPECT_THAT(html, AllOf(HasSubstr("has not come to its end"), Not(HasSubstr("<h2>")), Not(HasSubstr("nan"))));
  std::filesystem::remove(run() / "metrics.jsonl");
  write_file(run() / "run.json", "{}");
  EXPECT_THAT(training_page(run()), HasSubstr("</html>"));
  write_file(run() / "run.json", "[]");
  EXPECT_THAT(training_page(run()), HasSubstr("</html>"));
}

TEST_F(TrainingPages, OfADamagedRecordThereIsNone) {
  write_file(run() / "run.json", "{");
  EXPECT_ERROR(training_page(run()), "run.json");
  std::filesystem::remove(run() / "run.json");
  EXPECT_ERROR(training_page(run()), "run.json");
}

TEST_F(TrainingPages, ABenchmarksScoreHasItsInterval) {
  write_file(run() / "metrics.jsonl", json{{"step", 5},
                                           {"eval_benchmark", "pope"},
                                           {"eval_protocol", "llava"},
                                           {"eval_metric", "F1"},
                                           {"eval_score", 80},
                                           {"eval_score_low", 70},
                                           {"eval_score_high", 90}}
                                              .dump() +
                                          "\n");
  EXPECT_THAT(training_page(run()),
              AllOf(HasSubstr("<h2>Score on pope</h2>"), HasSubstr("<td>80.00 (70.00 to 90.00)")));
}

TEST_F(TrainingPages, IsWrittenIntoTheRunsFolderAndFits) {
  write_training_page(run());
  EXPECT_EQ(read_file(run() / "report.html"), training_page(run()));
  STRIATE_REQUIRE_BROWSER();
  const json out = test::in_browser(training_page(run()), test::kPageWidths);
  ASSERT_TRUE(out.is_object());
  for (const int width : {390, 1280}) {
    EXPECT_EQ(out.at(cat("wide", width)), width);
    EXPECT_EQ(out.at(cat("beyond", width)), 0) << width;
  }
}

}  // namespace
}  // namespace striate
