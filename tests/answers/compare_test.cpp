// What runs kept of the first, and whether a model looks at its pictures.
#include "striate/answers/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "striate/answers/retention.h"
#include "tests/answers/small_runs.h"

namespace striate {
namespace {

using testing::ElementsAre;

TEST(CompareRuns, SeveralBenchmarksSayWhatWasKept) {
  const test::SmallRuns runs(20);
  const auto base = runs.run("base", test::wrong(10), -4);   // 50%; perplexity per byte e
  const auto tuned = runs.run("tuned", test::wrong(5), -8);  // 75%; e squared
  const auto all = compare_runs({{base, tuned, runs.run("more", test::wrong(15), -4)}, {}, {.draws = 10}});
  const Retention table = retention(test::pointers(all));
  ASSERT_EQ(table.visual.size(), 1U);
  ASSERT_EQ(table.text.size(), 1U);
  EXPECT_THAT(table.visual[0].values, ElementsAre(50, 75, 25));
  EXPECT_THAT(table.visual[0].kept, ElementsAre(1, 1.5, 0.5));
  EXPECT_NEAR(table.text[0].kept[1], std::exp(-1), 1e-12);  // lower is better: base / tuned
  EXPECT_NEAR(table.text[0].kept[2], 1, 1e-12);
  EXPECT_EQ(mean_kept(table.visual, 1), 1.5);
  EXPECT_TRUE(std::isnan(mean_kept({}, 1)));
}

TEST(CompareRuns, AShareOfNothingIsNotDefinedAndLeftOutOfTheMean) {
  const test::SmallRuns runs(4);
  const auto all = compare_runs({{runs.run("base", test::wrong(4)), runs.run("tuned", {})}, {}, {.draws = 10}});
  const Retention table = retention(test::pointers(all));
  EXPECT_TRUE(std::isnan(table.visual.at(0).kept.at(1)));
  EXPECT_TRUE(std::isnan(mean_kept(table.visual, 1)));
}

TEST(CompareRuns, SharesAreOfTheQuestionsThatBothAnswered) {
  const test::SmallRuns runs(4);
  const auto base = runs.run("base", {"no", "yes", "no", "yes"});
  const auto tuned = runs.run("tuned", {});
  runs.put("tuned/llava-json/answers.jsonl",
           "{\"question_id\": \"1\", \"text\": \"no\"}\n{\"question_id\": \"2\", \"text\": \"yes\"}\n");
  const auto all = compare_runs({{base, tuned}, {}, {.draws = 10}});
  EXPECT_THAT(retention(test::pointers(all)).visual.at(0).kept, ElementsAre(1, 1));
}

TEST(CompareRuns, QuestionsBeyondARunsLimitDoNotCountAsWrong) {
  const test::SmallRuns runs(1);
  nlohmann::json questions = nlohmann::json::array();
  for (const char* id : {"1", "2", "3", "4"}) {
    questions.push_back({{"question_id", id},
                         {"question", "Which?"},
                         {"data_id", "p"},
                         {"answer", "A"},
                         {"choice_a", "a"},
                         {"choice_b", "b"},
                         {"choice_c", "c"},
                         {"choice_d", "d"}});
  }
  const auto data = runs.put("seed/SEED-Bench.json", nlohmann::json{{"questions", questions}}.dump()).parent_path();
  const auto run = [&](const std::string& name, int limit) {
    runs.put(name + "/seed/answers.jsonl", "{\"question_id\": \"1\", \"text\": \"A\"}\n");
    const nlohmann::json part = {
        {"name", "seed"}, {"data", data.string()}, {"protocol", "llava"}, {"limit", limit}};  // as a run writes it
    const nlohmann::json record = {{"model", "m"}, {"benchmarks", nlohmann::json::array({part})}};
    runs.put(name + "/run.json", record.dump());
    return runs.path(name);
  };
  const auto all = compare_runs({{run("limited", 1), run("whole", 0)}, {}, {.draws = 0}});
  ASSERT_EQ(all.at(0).runs.size(), 2U);
  EXPECT_EQ(all[0].runs[0].headline.value, 100);
  EXPECT_EQ(all[0].runs[1].headline.value, 25);
}

TEST(CompareRuns, ATwinWithoutPicturesSaysWhetherTheModelLooks) {
  const test::SmallRuns runs(40);
  const auto seeing = runs.run("seeing", test::wrong(2), -4, false, "a");
  const auto seeing_twin = runs.run("seeing-twin", test::wrong(30), -4, true, "a");
  const auto guessing = runs.run("guessing", test::wrong(20), -4, false, "b");
  std::vector<std::string> other_half(20, "yes");
  other_half.resize(39, "no");
  const auto guessing_twin = runs.run("guessing-twin", other_half, -4, true, "b");
  const auto all = compare_runs({{seeing, seeing_twin, guessing_twin, guessing}, {}, {.draws = 500}});
  ASSERT_EQ(all.size(), 2U);
  const std::vector<PictureUse>& uses = all[0].picture_uses;
  ASSERT_EQ(uses.size(), 2U);
  EXPECT_EQ(uses[0].with, 0U);
  EXPECT_EQ(uses[0].without, 1U);
  EXPECT_EQ(uses[0].difference.second, 95);
  EXPECT_EQ(uses[0].difference.first, 25);
  EXPECT_EQ(uses[0].difference.difference, 70);
  EXPECT_TRUE(uses[0].looked());
  EXPECT_EQ(picture_verdict(uses[0]), "looks at the pictures");
  EXPECT_EQ(uses[1].with, 3U);
  EXPECT_EQ(uses[1].without, 2U);
  EXPECT_EQ(uses[1].difference.difference, -2.5);
  EXPECT_LT(uses[1].difference.interval.low, 0);
  EXPECT_GT(uses[1].difference.interval.high, 0);
  EXPECT_EQ(picture_verdict(uses[1]), "did not look");
  EXPECT_TRUE(all[1].picture_uses.empty());  // a text has no pictures to leave out
  EXPECT_THAT(retention(test::pointers(all)).runs, ElementsAre(0U, 3U));
}

TEST(CompareRuns, WithoutDrawsNobodyKnowsWhetherItLooks) {
  const test::SmallRuns runs(4);
  const auto all = compare_runs({{runs.run("a", {}), runs.run("b", test::wrong(4), -4, true)}, {}, {.draws = 0}});
  EXPECT_EQ(picture_verdict(all[0].picture_uses.at(0)), "not known: there is no interval");
  EXPECT_FALSE(all[0].picture_uses[0].looked());
  const auto worse = compare_runs({{runs.run("a", test::wrong(4)), runs.run("b", {}, -4, true)}, {}, {.draws = 10}});
  EXPECT_EQ(picture_verdict(worse[0].picture_uses.at(0)), "the score is higher without the pictures");
}

TEST(CompareRuns, ATwinOfAnotherModelIsNoTwin) {
  const test::SmallRuns runs(4);
  const auto all =
      compare_runs({{runs.run("a", {}, -4, false, "one"), runs.run("b", {}, -4, true, "another")}, {}, {.draws = 10}});
  EXPECT_TRUE(all[0].picture_uses.empty());
  EXPECT_TRUE(retention(test::pointers(all)).runs.empty());  // one run alone saw the pictures
}

TEST(IsVisual, QuestionsOfOnesOwnAreAsTheirPictures) {
  QuestionSet set;
  set.questions.resize(1);
  set.questions[0].text = "what?";
  EXPECT_FALSE(is_visual(find_benchmark("llava-json"), set));
  set.questions[0].pictures = {"a.png"};
  EXPECT_TRUE(is_visual(find_benchmark("llava-json"), set));
  EXPECT_FALSE(is_visual(find_benchmark("gsm8k"), set));
}

}  // namespace
}  // namespace striate
