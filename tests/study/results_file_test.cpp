// Results as a file: the same after a way through it, and refused where they do not fit together.
#include "striate/study/results_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/study/small_study.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate::study {
namespace {

using nlohmann::json;

StudyResults full_study() {
  StudyResults study = test::small_study();
  StudiedModel model = study.models.back();
  model.part = "removed-01";
  model.treatment = Treatment::kHealed;
  model.tuning->trial = true;
  model.tuning->seed = std::numeric_limits<std::uint64_t>::max();
  model.removal = Removal{{1, 3}, "angular", Removal::Where::kInside, true};
  model.healing = Healing{"beside-cuts", true};
  model.reverted = {2, 7};
  model.answering = AnsweringCost{1000.5, 30.25, 12'000'000};
  model.layer_scores["bi"] = std::vector<double>(8, std::numeric_limits<double>::quiet_NaN());
  model.curve.push_back({41, std::numeric_limits<double>::quiet_NaN()});
  model.judged = 12.5;
  model.benchmarks["see"].score = std::numeric_limits<double>::quiet_NaN();  // the F1 of a model that never says yes
  model.benchmarks["facts"].answers[3] = "a <b> \"quoted\"\nline \u00e9";
  study.models.push_back(model);
  study.failed.push_back({"tune-x", "out of memory"});
  study.notes.emplace_back("kernel", "6.1");
  study.warnings.emplace_back("Not all cells were computed alike.");
  study.benchmarks[0].unit = "points";
  study.benchmarks[0].questions[1].together = "a group";
  study.reference = "paper";
  return study;
}

TEST(ResultsFile, KeepsEverything) {
  const StudyResults study = full_study();
  const std::string text = results_text(study);
  const StudyResults again = parse_results(text, "results.json");
  EXPECT_EQ(results_text(again), text);
  const StudiedModel &before = study.models.back(), &after = again.models.back();
  EXPECT_EQ(after.tuning->seed, before.tuning->seed);
  EXPECT_TRUE(after.tuning->trial);
  EXPECT_EQ(after.removal->layers, before.removal->layers);
  EXPECT_EQ(after.removal->where, Removal::Where::kInside);
  EXPECT_EQ(after.healing->trained, "beside-cuts");
  EXPECT_EQ(after.benchmarks.at("facts").answers, before.benchmarks.at("facts").answers);
  EXPECT_EQ(after.benchmarks.at("see").questions, before.benchmarks.at("see").questions);
  EXPECT_TRUE(std::isnan(after.layer_scores.at("bi")[0]));
  EXPECT_TRUE(std::isnan(after.curve.back().loss));
  EXPECT_EQ(again.failed[0].reason, "out of memory");
  EXPECT_EQ(again.notes, study.notes);
  EXPECT_EQ(again.warnings, study.warnings);
  EXPECT_EQ(again.benchmarks[0].unit, "points");
  EXPECT_EQ(again.benchmarks[0].questions[1].together, "a group");
  EXPECT_EQ(after.judged, 12.5);
  EXPECT_TRUE(std::isnan(after.benchmarks.at("see").score));
}

TEST(ResultsFile, IsReadBackFromDisk) {
  const striate::test::TemporaryFolder folder;
  write_results(full_study(), OutputPath::inside(folder.path(), "results.json"));
  EXPECT_EQ(results_text(read_results(folder.path() / "results.json")), results_text(full_study()));
}

TEST(ResultsFile, SaysWhereItIsDamaged) {
  const json good = json::parse(results_text(full_study()));
  const auto with = [&](const char* pointer, const json& value) {
    json bad = good;
    bad[json::json_pointer(pointer)] = value;
    return bad.dump();
  };
  EXPECT_ERROR(parse_results("{", "r.json"), "r.json");
  EXPECT_ERROR(parse_results("[]", "r.json"), "r.json: is not a file of a study's results");
  EXPECT_ERROR(parse_results(with("/version", 1), "r.json"), "is of version 1, not 2");
  EXPECT_ERROR(parse_results(with("/models/2/tuning/seed", -1), "r.json"),
               "r.json, models 3, tuning, seed: is not a whole number from 0");
  EXPECT_ERROR(parse_results(with("/models/0/treatment", "cooked"), "r.json"), "\"cooked\" is not known");
  EXPECT_ERROR(parse_results(with("/models/0/benchmarks/see/questions", json::array({1})), "r.json"),
               "base: the benchmark see has 100 questions, 1 scores and 100 answers");
  EXPECT_ERROR(parse_results(with("/models/0/benchmarks/see/questions/5", 1.5), "r.json"), "has scores that are none");
  EXPECT_ERROR(parse_results(with("/models/2/tuning/layers/7", 8), "r.json"), "not of 8");
  EXPECT_ERROR(parse_results(with("/models/2/tuning/layers", json::array({3, 3})), "r.json"), "ascending");
  EXPECT_ERROR(parse_results(with("/models/2/layer_scores/angular", json::array({1})), "r.json"),
               "1 scores of 8 layers by angular");
  EXPECT_ERROR(parse_results(with("/models/0/model", "other"), "r.json"), "other is not one of the study's");
  EXPECT_ERROR(parse_results(with("/models/1/cell", "base"), "r.json"), "base: occurs twice");
  EXPECT_ERROR(parse_results(with("/models/2/tuning/data_fraction", 0), "r.json"), "a share of the data that is none");
  EXPECT_ERROR(parse_results(with("/models/2/curve/0", json::array({1, 2, 3})), "r.json"), "a step and its loss");
  json without = good;
  without["models"][0].erase("losses");
  EXPECT_ERROR(parse_results(without.dump(), "r.json"), "r.json, models 1: has no \"losses\"");
}

}  // namespace
}  // namespace striate::study
