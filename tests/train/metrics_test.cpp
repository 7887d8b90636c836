#include "striate/train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

StepMetrics metrics_of(std::int64_t step) {
  StepMetrics m;
  m.step = step;
  m.loss = 1.0 / static_cast<double>(step);
  m.rates = {{"projector", 2e-5}, {"adapter", 2e-4}};
  m.tokens = 100;
  m.seconds = 2;
  return m;
}

std::vector<std::int64_t> steps_in(const std::filesystem::path& path) {
  std::vector<std::int64_t> steps;
  for (const std::string& line : split(read_file(path), '\n')) {
    if (!line.empty()) steps.push_back(nlohmann::json::parse(line).at("step").get<std::int64_t>());
  }
  return steps;
}

TEST(Metrics, ALineHasEveryFigureAndReadsBackExactly) {
  const nlohmann::json line = nlohmann::json::parse(to_json_line(metrics_of(3)));
  EXPECT_EQ(line.at("loss").get<double>(), 1.0 / 3);
  EXPECT_EQ(line.at("lr").at("adapter").get<double>(), 2e-4);
  EXPECT_EQ(line.at("tokens_per_s").get<double>(), 50);
  for (const char* key : {"step", "epoch", "grad_norm", "targets", "samples", "skipped", "seconds", "wait_seconds",
                          "processor_seconds", "memory_bytes"}) {
    EXPECT_TRUE(line.contains(key)) << key;
  }
}

TEST(Metrics, WhatIsNotFiniteIsSaidInWords) {
  StepMetrics m = metrics_of(1);
  m.loss = std::numeric_limits<double>::quiet_NaN();
  m.gradient_norm = std::numeric_limits<double>::infinity();
  const nlohmann::json line = nlohmann::json::parse(to_json_line(m));
  EXPECT_EQ(line.at("loss"), "nan");
  EXPECT_EQ(line.at("grad_norm"), "inf");
}

TEST(Metrics, ABenchmarkHasAScoreAndNoLoss) {
  EvaluationMetrics m;
  m.step = 7;
  m.benchmark = {"pope", "llava", {"mean F1 of the splits", 66.5}, {60, 72}, 20, 19, 1, 2, 3, 1};
  const nlohmann::json line = nlohmann::json::parse(to_json_line(m));
  EXPECT_EQ(line.at("eval_benchmark"), "pope");
  EXPECT_EQ(line.at("eval_metric"), "mean F1 of the splits");
  EXPECT_EQ(line.at("eval_score").get<double>(), 66.5);
  EXPECT_EQ(line.at("eval_score_high").get<double>(), 72);
  EXPECT_EQ(line.at("eval_answered"), 19);
  EXPECT_EQ(line.at("eval_bad"), 1);
  EXPECT_FALSE(line.contains("eval_loss"));
}

TEST(MetricsFile, AResumedRunCutsTheLinesAfterItsCheckpoint) {
  const test::TemporaryFolder home;
  const std::filesystem::path path = home.path() / "metrics.jsonl";
  {
    MetricsFile file(home.path(), 0);
    for (std::int64_t step = 1; step <= 5; ++step) file.append(to_json_line(metrics_of(step)));
    EvaluationMetrics evaluation;
    evaluation.step = 5;
    file.append(to_json_line(evaluation));
  }
  {
    MetricsFile file(home.path(), 5);
    file.append(to_json_line(metrics_of(6)));
  }
  EXPECT_EQ(steps_in(path), (std::vector<std::int64_t>{1, 2, 3, 4, 5, 5, 6}));
  {
    MetricsFile file(home.path(), 3);
    file.append(to_json_line(metrics_of(4)));
  }
  EXPECT_EQ(steps_in(path), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

TEST(MetricsFile, AnEvaluationThatTheRunOwesIsCutAsWell) {
  const test::TemporaryFolder home;
  {
    MetricsFile file(home.path(), 0);
    for (std::int64_t step = 1; step <= 3; ++step) file.append(to_json_line(metrics_of(step)));
    EvaluationMetrics evaluation;
    evaluation.step = 3;
    file.append(to_json_line(evaluation));
    file.append(to_json_line(metrics_of(4)));
  }
  const MetricsFile file(home.path(), 3, /*owes_evaluation=*/true);
  EXPECT_EQ(steps_in(home.path() / "metrics.jsonl"), (std::vector<std::int64_t>{1, 2, 3}));
}

TEST(MetricsFile, SaysWhatAStepAndTheEvaluationAfterItWereLike) {
  const test::TemporaryFolder home;
  MetricsFile file(home.path(), 0);
  EvaluationMetrics held_out;
  held_out.step = 2;
  held_out.loss = 0.1;
  held_out.questions = 5;
  held_out.exact = 3;
  EvaluationMetrics asked;
  asked.step = 3;
  asked.questions = 19;
  asked.benchmark = {"pope", "llava", {"mean F1 of the splits", 66.5}, {60, 72}, 20, 19, 1, 2, 3, 1};
  StepMetrics wild = metrics_of(3);
  wild.loss = -std::numeric_limits<double>::infinity();
  file.append(to_json_line(metrics_of(2)));
  file.append(to_json_line(held_out));
  file.append(to_json_line(wild));
  file.append(to_json_line(asked));
  const RecordedStep second = recorded_step(home.path(), 2);
  EXPECT_EQ(second.loss, 0.5);
  ASSERT_TRUE(second.evaluation);
  EXPECT_EQ(to_json_line(*second.evaluation), to_json_line(held_out));
  const RecordedStep third = recorded_step(home.path(), 3);
  EXPECT_EQ(third.loss, wild.loss);
  ASSERT_TRUE(third.evaluation);
  EXPECT_EQ(third.evaluation->questions, 19);
  EXPECT_EQ(to_json_line(*third.evaluation), to_json_line(asked));
  EXPECT_TRUE(std::isnan(recorded_step(home.path(), 4).loss));
  EXPECT_FALSE(recorded_step(home.path() / "absent", 2).evaluation);
}

TEST(MetricsFile, ALineCutShortByACrashIsCutOff) {
  const test::TemporaryFolder home;
  const std::filesystem::path path = home.path() / "metrics.jsonl";
  write_file(path, to_json_line(metrics_of(1)) + "\n{\"step\":2,\"los");
  MetricsFile(home.path(), 10).append(to_json_line(metrics_of(2)));
  EXPECT_EQ(steps_in(path), (std::vector<std::int64_t>{1, 2}));
}

}  // namespace
}  // namespace striate
