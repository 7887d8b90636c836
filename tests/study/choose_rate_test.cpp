#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "striate/study/cell_run.h"
#include "tests/study/written_study.h"

namespace striate::study {
namespace {

using nlohmann::json;

// Three rates to choose from, by two benchmarks; the records of the candidates and of their answers are written here.
class ChooseRate : public test::WrittenStudy {
 protected:
  ChooseRate()
      : study_{read(small_study("", "learning-rates = [1e-4, 2e-4, 4e-4]\nchosen-on-seed = 9\n") +
                    validation("percentage") + validation("points")),
               {8},
               {},
               StudyFolder(home_.path() / "out")} {
    study_.cells = plan_cells(study_.definition, study_.layers);
    while (study_.cells.at(choice_).kind != CellKind::kChoose) ++choice_;
    for (const std::size_t candidate : choice().candidates) study_.folder.finish(study_.cells[candidate], {});
  }
  static std::string validation(const std::string& name) {
    return cat("[[benchmark]]\nname = \"", name, "\"\nbenchmark = \"llava-json\"\ndata = \"", name,
               ".json\"\nvalidation = true\n");
  }
  const Cell& choice() const { return study_.cells[choice_]; }
  void judge(std::size_t candidate, std::size_t benchmark, json result) {
    CellRecord record;
    record.result = std::move(result);
    study_.folder.finish(study_.cells[choice().judged.at(2 * candidate + benchmark)], record);
  }
  double chosen() {
    run_cell(study_, choice_, {});
    return study_.folder.record(choice())->result.at("learning_rate").get<double>();
  }

  Study study_;
  std::size_t choice_ = 0;
};

TEST_F(ChooseRate, ABenchmarkOfManyPointsWeighsNoMoreThanAPercentage) {
  const std::pair<double, double> means[] = {{80, 60}, {50, 70}, {40, 70}};
  for (std::size_t i = 0; i < 3; ++i) {
    judge(i, 0, {{"score", means[i].first}, {"question_mean", means[i].first}});
    judge(i, 1, {{"score", 20 * means[i].second}, {"question_mean", means[i].second}});
  }
  EXPECT_DOUBLE_EQ(chosen(), 1e-4);
}

TEST_F(ChooseRate, ScoresThatAnEarlierVersionWroteStillChoose) {
  for (std::size_t i = 0; i < 3; ++i) {
    judge(i, 0, {{"score", i == 1 ? 60 : 50}});
    judge(i, 1, {{"score", 50}});
  }
  EXPECT_DOUBLE_EQ(chosen(), 2e-4);
}

TEST_F(ChooseRate, AScoreOfAnEarlierVersionIsComparedWithScores) {
  for (std::size_t i = 0; i < 3; ++i) {
    json points = {{"score", 1000 + 10 * i}};
    if (i != 0) points["question_mean"] = 60;
    judge(i, 0, {{"score", 50}, {"question_mean", 50}});
    judge(i, 1, points);
  }
  EXPECT_DOUBLE_EQ(chosen(), 4e-4);
}

TEST_F(ChooseRate, ACandidateWithoutANumberIsNotChosen) {
  for (std::size_t i = 0; i < 3; ++i) {
    judge(i, 0, {{"question_mean", i == 0 ? json() : json(50 - static_cast<double>(i))}});
    judge(i, 1, {{"question_mean", 90}});
  }
  EXPECT_DOUBLE_EQ(chosen(), 2e-4);
}

}  // namespace
}  // namespace striate::study
