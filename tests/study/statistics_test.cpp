// Means, differences and their intervals against numbers worked out by hand.
#include "striate/study/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "striate/base/strings.h"
#include "striate/study/claims.h"
#include "tests/study/small_study.h"

namespace striate::study {
namespace {

using test::SmallScores;
using testing::DoubleNear;

StudyGroups groups_of(const StudyResults& study) {
  return {study, settings_of(study).at(0)};
}

TEST(StudyGroupsTest, AGroupIsWhatDiffersInSeedAndDrawAlone) {
  StudyResults study = test::small_study();
  study.models.back().tuning->trial = true;  // random, draw 1, seed 3
  const StudyGroups groups = groups_of(study);
  EXPECT_EQ(groups.setting().layers, 8);
  EXPECT_EQ(groups.quarter(), 2);
  const std::vector<ModelGroup> tuned = groups.of(Treatment::kTuned);
  std::vector<std::string> names;
  for (const ModelGroup& group : tuned) names.push_back(group_name(group, groups.setting()));
  EXPECT_THAT(names, testing::ElementsAre("all", "uniform 2 of 8", "bottom 2 of 8", "top 2 of 8", "random 2 of 8"));
  EXPECT_EQ(tuned.back().models.size(), 5U);
  EXPECT_THAT(tuned.back().seeds(), testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(groups.base()->first().cell, "base");
  EXPECT_EQ(groups.aligned()->first().cell, "align");
}

TEST(StudyGroupsTest, OfSeveralLearningRatesTheOneWithTheMostSeedsCounts) {
  StudyResults study = test::small_study();
  StudiedModel other = test::at_another_rate(study);
  study.models.push_back(other);
  EXPECT_EQ(groups_of(study).spread(2)->models.size(), 3U);
  EXPECT_EQ(groups_of(study).of(Treatment::kTuned).size(), 6U);
  other.tuning->offset = 1;
  other.cell = "other offset";
  study.models.push_back(other);
  EXPECT_EQ(groups_of(study).spread(2)->models.size(), 3U);
  EXPECT_EQ(group_name(*groups_of(study).tuned({.strategy = "uniform", .layers = 2, .offset = 1}), {"mini", "", 8}),
            "uniform 2 of 8 at offset 1");
}

TEST(StudyStatistics, MeansAndDeviationsAreOverSeeds) {
  const StudyResults study = test::small_study([](const std::string&, std::uint64_t seed) -> SmallScores {
    return {seed == 1 ? 0.2 : seed == 2 ? 0.4 : 0.9, 0.5};
  });
  const Statistics statistics(study, {.draws = 200});
  const ModelGroup all = *groups_of(study).all();
  EXPECT_NEAR(statistics.mean(all, Sense::kVisual).value, 50, 1e-9);
  EXPECT_EQ(statistics.mean(all, Sense::kVisual).seeds, 3U);
  EXPECT_EQ(statistics.mean(all, Sense::kVisual).benchmarks, 1U);
  EXPECT_NEAR(statistics.deviation(all, Sense::kVisual), std::sqrt((900.0 + 100 + 1600) / 2), 1e-9);
  EXPECT_NEAR(statistics.mean(all, Sense::kText).value, 50, 1e-9);
  EXPECT_NEAR(statistics.deviation(all, Sense::kText), 0, 1e-9);
  const auto score = [](const StudiedModel& model) { return model.benchmarks.at("see").score / 10; };
  EXPECT_NEAR(deviation_over_seeds(all, score), std::sqrt((9.0 + 1 + 16) / 2), 1e-9);
}

TEST(StudyStatistics, AModelThatIsNotFinishedDoesNotCountAndTheOthersDo) {
  StudyResults study = test::small_study();
  for (StudiedModel& model : study.models) {
    if (model.cell == "tune-all-0-3") model.benchmarks.clear();  // tuned, and not asked yet
  }
  const Statistics statistics(study, {.draws = 50});
  const ModelGroup all = *groups_of(study).all(), uniform = *groups_of(study).spread(2);
  EXPECT_NEAR(statistics.mean(all, Sense::kVisual).value, 80, 1e-9);
  EXPECT_EQ(statistics.mean(all, Sense::kVisual).seeds, 2U);
  EXPECT_EQ(statistics.difference(uniform, all, Sense::kText).seeds, 2U);
  EXPECT_NEAR(statistics.difference(uniform, all, Sense::kText).value, 20, 1e-9);
  EXPECT_NEAR(statistics.deviation(all, Sense::kVisual), 0, 1e-9);
}

// A study of two seeds or more in which every question of a model has the same score: drawing questions changes
// nothing.
StudyResults constant_study(const std::vector<std::pair<std::string, std::vector<double>>>& groups) {
  StudyResults study = test::small_study();
  study.models.clear();
  for (const auto& [strategy, scores] : groups) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      StudiedModel model = test::small_model(test::small_study(), cat(strategy, " ", i), Treatment::kTuned, {}, 0);
      model.tuning = test::small_tuning(
          strategy,
          strategy == "all" ? std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7} : std::vector<std::int64_t>{0, 4},
          i + 1);
      for (double& score : model.benchmarks["see"].questions) score = scores[i];
      study.models.push_back(model);
    }
  }
  return study;
}

TEST(StudyStatistics, EqualMeansHaveNoDifferenceWhateverTheOrderOfTheirSums) {
  const StudyResults study = constant_study({{"all", {0.1, 0.2, 0.7}}, {"uniform", {0.7, 0.1, 0.2}}});
  const Statistics statistics(study, {.draws = 10});
  EXPECT_EQ(statistics.difference(*groups_of(study).spread(2), *groups_of(study).all(), Sense::kVisual).value, 0);
}

TEST(StudyStatistics, OneSeedFewerIsDrawnThanThereAre) {
  // Two of three are drawn with replacement. The variance of their mean is that of the mean of three seeds:
  // ((30^2 + 10^2 + 40^2) / 3) / 2 = ((30^2 + 10^2 + 40^2) / 2) / 3.
  const StudyResults study = constant_study({{"all", {0.2, 0.4, 0.9}}});
  const Statistics statistics(study, {.draws = 2000});
  const Estimate mean = statistics.mean(*groups_of(study).all(), Sense::kVisual);
  EXPECT_NEAR(mean.value, 50, 1e-9);
  EXPECT_NEAR(mean.low, 20, 1e-9);   // 1/9 of the draws
  EXPECT_NEAR(mean.high, 90, 1e-9);  // 1/9
}

TEST(StudyStatistics, WithOneSeedTheIntervalIsOverQuestionsAlone) {
  // A quarter of the models' 100 questions right and each question with a picture of its own.
  StudyResults study = constant_study({{"all", {0.5}}});
  for (AskedQuestion& question : study.benchmarks[0].questions) question.together = question.id;
  for (std::size_t i = 0; i < 100; ++i) study.models[0].benchmarks["see"].questions[i] = i < 25 ? 1 : 0;
  const Statistics alone(study, {.draws = 4000});
  const Estimate mean = alone.mean(*groups_of(study).all(), Sense::kVisual);
  const double error = 100 * std::sqrt(0.25 * 0.75 / 100);
  EXPECT_EQ(mean.seeds, 1U);
  EXPECT_THAT(mean.low, DoubleNear(25 - 1.96 * error, 0.8));
  EXPECT_THAT(mean.high, DoubleNear(25 + 1.96 * error, 0.8));
  EXPECT_TRUE(std::isnan(alone.deviation(*groups_of(study).all(), Sense::kVisual)));
  // Two questions about one picture with the same score are one draw: as if there were half as many.
  for (std::size_t i = 0; i < 100; ++i) {
    study.benchmarks[0].questions[i].together = std::to_string(i / 2);
    study.models[0].benchmarks["see"].questions[i] = i < 50 ? 1 : 0;
  }
  const Statistics together(study, {.draws = 4000});
  const Estimate paired = together.mean(*groups_of(study).all(), Sense::kVisual);
  EXPECT_THAT(paired.low, DoubleNear(50 - 1.96 * 100 * std::sqrt(0.25 / 50), 1.5));
}

TEST(StudyStatistics, QuestionsThatAreAllDrawnTogetherGiveNoIntervalAndTellNothing) {
  StudyResults study = test::small_study();
  for (AskedQuestion& question : study.benchmarks[0].questions) question.together = "the one picture";
  const StudyGroups groups = groups_of(study);
  const ModelGroup uniform = *groups.spread(2), bottom = *groups.tuned({.strategy = "bottom", .layers = 2});
  const Statistics statistics(study, {.draws = 50});
  const Estimate difference = statistics.difference(uniform, bottom, Sense::kVisual);
  EXPECT_NEAR(difference.value, 20, 1e-9);
  EXPECT_FALSE(difference.has_interval());
  EXPECT_EQ(more_than(difference, 0), Verdict::kNotDistinguishable);
  EXPECT_TRUE(statistics.difference(uniform, bottom, Sense::kText).has_interval());
  // One question, and one seed.
  StudyResults one = constant_study({{"all", {0.5}}, {"uniform", {1.0}}});
  one.benchmarks[0].questions.resize(1);
  for (StudiedModel& model : one.models) model.benchmarks["see"].questions.resize(1);
  const Statistics alone(one, {.draws = 50});
  const Estimate better = alone.difference(*groups_of(one).spread(2), *groups_of(one).all(), Sense::kVisual);
  EXPECT_NEAR(better.value, 50, 1e-9);
  EXPECT_EQ(more_than(better, 0), Verdict::kNotDistinguishable);
}

TEST(StudyStatistics, AShareOfAMeanThatIsZeroInManyDrawsHasNoInterval) {
  StudyResults study = constant_study({{"all", {0.0}}, {"uniform", {0.5}}});
  for (AskedQuestion& question : study.benchmarks[0].questions) question.together = question.id;
  std::vector<double>& right = study.models[0].benchmarks["see"].questions;
  const StudyGroups groups = groups_of(study);
  const auto share = [&] {
    return Statistics(study, {.draws = 500}).ratio(*groups.spread(2), *groups.all(), Sense::kVisual);
  };
  EXPECT_FALSE(share().measured());
  EXPECT_FALSE(share().has_interval());
  EXPECT_EQ(share().benchmarks, 1U) << "both were asked";
  right[0] = 1;  // in more than a third of the draws it is not among them
  EXPECT_NEAR(share().value, 5000, 1e-9);
  EXPECT_FALSE(share().has_interval());
  for (std::size_t i = 0; i < 8; ++i) right[i] = 1;  // none of them: one draw of 4000
  EXPECT_TRUE(share().has_interval());
}

TEST(StudyStatistics, ModelsAreComparedOnTheSameQuestionsAndSeeds) {
  // Both differ much from seed to seed and from question to question, and by 10 points always.
  const StudyResults study = constant_study({{"all", {0.2, 0.4, 0.8}}, {"uniform", {0.3, 0.5, 0.9}}});
  const Statistics statistics(study, {.draws = 300});
  const ModelGroup all = *groups_of(study).all(), uniform = *groups_of(study).spread(2);
  const Estimate difference = statistics.difference(uniform, all, Sense::kVisual);
  EXPECT_NEAR(difference.value, 10, 1e-9);
  EXPECT_NEAR(difference.low, 10, 1e-9);
  EXPECT_NEAR(difference.high, 10, 1e-9);
  EXPECT_NEAR(statistics.ratio(all, all, Sense::kVisual).low, 100, 1e-9);
  EXPECT_NEAR(statistics.ratio(uniform, all, Sense::kVisual).value, 100 * (170.0 / 140), 1e-9);
}

TEST(StudyStatistics, OnlySeedsAndBenchmarksThatBothHaveAreCompared) {
  StudyResults study = constant_study({{"all", {0.2, 0.4}}, {"uniform", {0.3, 0.5, 0.9}}});
  study.benchmarks.push_back(study.benchmarks[0]);
  study.benchmarks.back().name = "more";
  for (StudiedModel& model : study.models) {
    if (model.tuning->strategy == "all") model.benchmarks["more"] = model.benchmarks["see"];
  }
  const Statistics statistics(study, {.draws = 50});
  const ModelGroup all = *groups_of(study).all(), uniform = *groups_of(study).spread(2);
  EXPECT_EQ(statistics.difference(uniform, all, Sense::kVisual).seeds, 2U);
  EXPECT_EQ(statistics.difference(uniform, all, Sense::kVisual).benchmarks, 1U);
  EXPECT_NEAR(statistics.difference(uniform, all, Sense::kVisual).value, 10, 1e-9);
  for (StudiedModel& model : study.models) {
    if (model.tuning->strategy == "all") model.tuning->seed += 10;
  }
  const StudyGroups apart = groups_of(study);
  EXPECT_FALSE(statistics.difference(*apart.spread(2), *apart.all(), Sense::kVisual).measured());
}

TEST(StudyStatistics, TheSameDrawsAreMadeAgain) {
  const StudyResults study = test::small_study();
  const StudyGroups groups = groups_of(study);
  const Estimate first = Statistics(study, {.draws = 100}).mean(*groups.all(), Sense::kVisual);
  const Estimate again = Statistics(study, {.draws = 100}).mean(*groups.all(), Sense::kVisual);
  const Estimate other = Statistics(study, {.seed = 2, .draws = 100}).mean(*groups.all(), Sense::kVisual);
  EXPECT_EQ(first.low, again.low);
  EXPECT_NE(first.low, other.low);
}

TEST(StudyStatistics, ModelsBeforeTuningCountWithEverySeed) {
  const StudyResults study = test::small_study();
  const StudyGroups groups = groups_of(study);
  const Statistics statistics(study, {.draws = 100});
  EXPECT_NEAR(statistics.difference(*groups.all(), *groups.aligned(), Sense::kVisual).value, 50, 1e-9);
  EXPECT_EQ(statistics.difference(*groups.all(), *groups.aligned(), Sense::kVisual).seeds, 3U);
  const Estimate base = statistics.mean(*groups.base(), Sense::kText);
  EXPECT_NEAR(base.value, 90, 1e-9);
  EXPECT_EQ(base.seeds, 0U);
  EXPECT_TRUE(base.has_interval());
}

TEST(StudyStatistics, RegionsDrawnAtRandomAreDrawnAgainWithinASeed) {
  StudyResults study = constant_study({{"random", {0.2, 0.4}}});
  study.models[1].tuning->seed = 1;
  study.models[1].tuning->draw = 1;
  const Statistics statistics(study, {.draws = 300});
  const ModelGroup random = *groups_of(study).tuned({.strategy = "random", .layers = 2});
  const Estimate mean = statistics.mean(random, Sense::kVisual);
  EXPECT_NEAR(mean.value, 30, 1e-9);
  EXPECT_NEAR(mean.low, 20, 1e-9);  // one of the two
  EXPECT_NEAR(mean.high, 40, 1e-9);
  EXPECT_EQ(mean.seeds, 1U);
}

TEST(OverSeeds, GivesStudentsIntervalOfPairedNumbers) {
  const StudyResults study = test::small_study();
  const StudyGroups groups = groups_of(study);
  const auto seconds = [](const StudiedModel& model) { return model.taken ? model.taken->seconds : kNotMeasured; };
  // 101, 102, 103.
  const Estimate all = over_seeds(*groups.all(), seconds);
  EXPECT_NEAR(all.value, 102, 1e-9);
  EXPECT_NEAR(all.high, 102 + 4.303 / std::sqrt(3), 1e-9);
  const Estimate saved = over_seeds(std::array{*groups.spread(2), *groups.all()}, seconds,
                                    [](std::span<const double> means) { return means[1] - means[0]; });
  EXPECT_NEAR(saved.value, 15, 1e-9);
  EXPECT_NEAR(saved.low, 15, 1e-9);  // the same with every seed
  StudyResults one = constant_study({{"all", {0.2}}});
  one.models[0].taken = RunTaken{.seconds = 7};
  EXPECT_NEAR(over_seeds(*groups_of(one).all(), seconds).value, 7, 1e-9);
  EXPECT_FALSE(over_seeds(*groups_of(one).all(), seconds).has_interval());
  EXPECT_FALSE(over_seeds(*groups.base(), seconds).measured());
  EXPECT_NEAR(student_t(2), 4.303, 1e-9);
  EXPECT_NEAR(student_t(60), 2.000, 2e-3);
}

}  // namespace
}  // namespace striate::study
