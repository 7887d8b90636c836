// The paper's claims at their borders, and what a study that lacks something says of them.
#include "striate/study/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/study/small_study.h"

namespace striate::study {
namespace {

using test::SmallScores;
using testing::HasSubstr;
using testing::Not;

constexpr Resampling kFew{.draws = 200};

std::vector<Claim> claims_of(const StudyResults& study) {
  const Statistics statistics(study, kFew);
  return claims_of(statistics, {study, settings_of(study).at(0)});
}

std::vector<Claim> of_letter(const std::vector<Claim>& claims, const std::string& letter) {
  std::vector<Claim> out;
  for (const Claim& claim : claims) {
    if (claim.letter == letter) out.push_back(claim);
  }
  return out;
}

TEST(Verdicts, FollowTheWholeInterval) {
  const auto estimate = [](double low, double high) { return Estimate{(low + high) / 2, low, high, 3, 1}; };
  EXPECT_EQ(at_least(estimate(99, 101), 99), Verdict::kHolds);
  EXPECT_EQ(at_least(estimate(98.99, 101), 99), Verdict::kNotDistinguishable);
  EXPECT_EQ(at_least(estimate(90, 99), 99), Verdict::kNotDistinguishable);
  EXPECT_EQ(at_least(estimate(90, 98.99), 99), Verdict::kDoesNotHold);
  EXPECT_EQ(more_than(estimate(0.01, 2), 0), Verdict::kHolds);
  EXPECT_EQ(more_than(estimate(0, 2), 0), Verdict::kNotDistinguishable);
  EXPECT_EQ(more_than(estimate(0, 0), 0), Verdict::kNotDistinguishable);
  EXPECT_EQ(more_than(estimate(-2, 0), 0), Verdict::kNotDistinguishable);
  EXPECT_EQ(more_than(estimate(-2, -0.01), 0), Verdict::kDoesNotHold);
  EXPECT_EQ(more_than({}, 0), Verdict::kNotMeasured);
  EXPECT_EQ(more_than({.value = 3, .seeds = 1}, 0), Verdict::kNotDistinguishable);
}

TEST(Claims, OfASmallStudyAreWhatItsNumbersSay) {
  const std::vector<Claim> claims = claims_of(test::small_study());
  const std::vector<Claim> kept = of_letter(claims, "a");
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_NEAR(kept[0].estimate.value, 100, 1e-9);
  EXPECT_EQ(kept[0].verdict, Verdict::kHolds);  // the same questions are right
  const std::vector<Claim> others = of_letter(claims, "b");
  ASSERT_EQ(others.size(), 4U);  // bottom, middle, top, random
  EXPECT_NEAR(others[0].estimate.value, 20, 1e-9);
  EXPECT_EQ(others[0].verdict, Verdict::kHolds);
  EXPECT_EQ(others[1].verdict, Verdict::kNotMeasured);
  EXPECT_EQ(others[1].missing, "middle was not tuned");
  EXPECT_NEAR(others[2].estimate.value, 30, 1e-9);
  EXPECT_NEAR(others[3].estimate.value, 10, 1e-9);
  const std::vector<Claim> text = of_letter(claims, "c");
  ASSERT_EQ(text.size(), 2U);
  EXPECT_NEAR(text[0].estimate.value, 20, 1e-9);
  EXPECT_NEAR(text[1].estimate.value, 0.2, 1e-9);  // nats
  EXPECT_EQ(text[1].verdict, Verdict::kHolds);
  const std::vector<Claim> time = of_letter(claims, "d");
  ASSERT_EQ(time.size(), 2U);
  EXPECT_NEAR(time[0].estimate.value, 100 * (15 / 101.0 + 15 / 102.0 + 15 / 103.0) / 3, 1e-9);
  EXPECT_NEAR(time[1].estimate.value, 100 * (1 - 107.5 / 130), 1e-9);
  ASSERT_EQ(of_letter(claims, "e").size(), 1U);  // two layers are a quarter themselves
  EXPECT_EQ(of_letter(claims, "e")[0].missing, "so few layers were not tuned");
  const std::vector<Claim> data = of_letter(claims, "f");
  ASSERT_EQ(data.size(), 3U);
  EXPECT_EQ(data[0].verdict, Verdict::kHolds);
  EXPECT_EQ(data[1].verdict, Verdict::kNotMeasured);
  for (const Claim& claim : of_letter(claims, "g"))
    EXPECT_EQ(claim.missing, "no layers were removed outside the region");
  for (const Claim& claim : claims) {
    EXPECT_FALSE(claim.rule.empty());
    EXPECT_EQ(claim.missing.empty(), claim.verdict != Verdict::kNotMeasured) << claim.text;
  }
}

TEST(Claims, OfLossesCompareTheSameHeldOutTexts) {
  StudyResults study = test::small_study();
  for (StudiedModel& model : study.models) {
    const bool failed = model.cell == "tune-uniform-1-2";
    if (!failed) model.losses["harder texts"] = {Sense::kText, 5};
  }
  const Claim loss = of_letter(claims_of(study), "c")[1];
  EXPECT_NEAR(loss.estimate.value, 0.1, 1e-9);  // of one of the two texts
  EXPECT_EQ(loss.estimate.seeds, 2U);
}

TEST(Claims, OfAShareOfNothingSayThatThereIsNone) {
  const StudyResults study = test::small_study([](const std::string& strategy, std::uint64_t) -> SmallScores {
    return strategy == "all" ? SmallScores{0, 0.6} : SmallScores{0.8, 0.6};
  });
  const Claim kept = of_letter(claims_of(study), "a").at(0);
  EXPECT_EQ(kept.verdict, Verdict::kNotMeasured);
  EXPECT_EQ(kept.missing, "there is no share of the visual mean of all layers: it is 0");
}

// What is below 99% is said to be so, although it is near.
TEST(Claims, AreNotTunedFor) {
  const StudyResults study = test::small_study([](const std::string& strategy, std::uint64_t) -> SmallScores {
    return strategy == "uniform" ? SmallScores{0.70, 0.5} : SmallScores{0.80, 0.6};
  });
  const std::vector<Claim> claims = claims_of(study);
  EXPECT_EQ(of_letter(claims, "a")[0].verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(of_letter(claims, "b")[0].verdict, Verdict::kDoesNotHold);
  EXPECT_EQ(of_letter(claims, "c")[0].verdict, Verdict::kDoesNotHold);
}

// Removing costs the spread region 1 point per layer outside and 10 inside, and all layers 5 anywhere.
StudyResults pruned_study() {
  StudyResults study = test::small_study();
  const std::vector<StudiedModel> tuned(study.models.begin(), study.models.end());
  for (const StudiedModel& model : tuned) {
    if (!model.tuning || (model.tuning->strategy != "uniform" && model.tuning->strategy != "all")) continue;
    const bool all = model.tuning->strategy == "all";
    for (const auto where : {Removal::Where::kOutside, Removal::Where::kInside, Removal::Where::kAnywhere}) {
      if (all != (where == Removal::Where::kAnywhere)) continue;
      for (std::int64_t k = 1; k <= 2; ++k) {
        const double cost = where == Removal::Where::kOutside ? 0.01 : where == Removal::Where::kInside ? 0.1 : 0.05;
        StudiedModel pruned = test::small_model(study, model.cell + "-prune", Treatment::kPruned,
                                                {0.8 - cost * static_cast<double>(k), 0.5}, model.tuning->seed);
        pruned.part = name(where) + "-" + std::to_string(k);
        pruned.tuning = model.tuning;
        pruned.removal = Removal{{1, 2}, "angular", where, false};
        pruned.removal->layers.resize(static_cast<std::size_t>(k));
        study.models.push_back(pruned);
      }
    }
  }
  return study;
}

TEST(Claims, RemovingLayersIsComparedAtTheCountsThatBothHave) {
  const StudyResults study = pruned_study();
  const std::vector<Claim> claims = of_letter(claims_of(study), "g");
  ASSERT_EQ(claims.size(), 2U);
  // (5 - 1) and (10 - 2) points on the mean; (10 - 1) and (20 - 2).
  EXPECT_NEAR(claims[0].estimate.value, 6, 1e-9);
  EXPECT_NEAR(claims[1].estimate.value, 13.5, 1e-9);
  EXPECT_EQ(claims[0].verdict, Verdict::kHolds);
  EXPECT_THAT(claims[0].quantity, HasSubstr("mean over 1, 2 removed"));
}

TEST(Claims, OfThePapersListAndUniformThePapersCountsAndThePrunedOneIsPruned) {
  StudyResults study = pruned_study();
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    StudiedModel paper = test::small_model(study, "paper-" + std::to_string(seed), Treatment::kTuned, {0.4, 0.6}, seed);
    paper.tuning = test::small_tuning("paper", {0, 5}, seed);
    study.models.push_back(paper);
  }
  const std::vector<Claim> claims = claims_of(study);
  EXPECT_NEAR(of_letter(claims, "a")[0].estimate.value, 50, 1e-9);
  EXPECT_NEAR(of_letter(claims, "g")[0].estimate.value, 6, 1e-9);  // of uniform
}

TEST(Summary, IsTrueOfTheNumbers) {
  const StudyResults study = test::small_study();
  const Statistics statistics(study, kFew);
  const StudyGroups groups(study, settings_of(study).at(0));
  EXPECT_THAT(
      summary_sentence(study, statistics, groups),
      testing::AllOf(
          HasSubstr("Tuning 2 of 8 layers of mini, evenly spread, reached 100.0% (100.0 to 100.0) of "
                    "the visual mean of tuning all layers, over 3 seeds; it differed from it by +20.00 points ("),
          HasSubstr("; and it took 14.7% less time."), Not(HasSubstr("cannot be told"))));
}

TEST(Summary, SaysWhenASavingOfTimeMayBeNone) {
  StudyResults study = test::small_study();
  for (StudiedModel& model : study.models) {
    if (model.tuning && model.tuning->strategy == "all" && model.taken)
      model.taken->seconds *= model.tuning->seed == 1 ? 3 : 0.8;
  }
  const Statistics statistics(study, kFew);
  EXPECT_THAT(summary_sentence(study, statistics, {study, settings_of(study).at(0)}),
              testing::ContainsRegex("and it took [0-9.]+% (less|more) time, which cannot be told from none"));
}

TEST(Summary, OfAStudyWithoutTextTasksTellsTheLossOnTexts) {
  StudyResults study = test::small_study();
  for (StudiedModel& model : study.models) model.benchmarks.erase("facts");
  const Statistics statistics(study, kFew);
  EXPECT_THAT(summary_sentence(study, statistics, {study, settings_of(study).at(0)}),
              HasSubstr("; it left the loss on held-out texts 0.2000 nats lower than tuning all layers did; and it "
                        "took 14.7% less time."));
}

TEST(Summary, SaysWhatIsMissing) {
  StudyResults study = test::small_study();
  std::erase_if(study.models, [](const StudiedModel& m) { return m.tuning && m.tuning->strategy == "all"; });
  const Statistics statistics(study, kFew);
  EXPECT_THAT(summary_sentence(study, statistics, {study, settings_of(study).at(0)}),
              HasSubstr("have not both been tuned yet."));
}

TEST(Claims, SayWhatIsMissingWhereNothingWasTuned) {
  StudyResults study = test::small_study();
  study.models.resize(2);
  for (const Claim& claim : claims_of(study)) {
    EXPECT_EQ(claim.verdict, Verdict::kNotMeasured);
    EXPECT_FALSE(claim.missing.empty());
  }
}

TEST(EstimateText, SaysWhetherThereIsAnInterval) {
  EXPECT_EQ(estimate_text({97.94, 96.5, 99.31, 3, 1}, "%", false), "97.9% (96.5 to 99.3)");
  EXPECT_EQ(estimate_text({1.2, -0.31, 2.7, 3, 1}, "points", true), "+1.20 points (-0.31 to +2.70)");
  EXPECT_EQ(estimate_text({.value = 12, .seeds = 1}, "%", false), "12.0% (one seed)");
  EXPECT_EQ(estimate_text({}, "%", false), "-");
}

}  // namespace
}  // namespace striate::study
