// Prompts and pictures where harnesses ask the questions of one file differently.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/answers/benchmark_folder.h"

namespace striate {
namespace {

using nlohmann::json;
using test::Texts;

constexpr const char* kLetterLine = "\nAnswer with the option's letter from the given choices directly.";

class HarnessPrompts : public test::BenchmarkFolder {};

TEST_F(HarnessPrompts, EachHarnessShowsItsOwnOfMmmusPictures) {
  put("validation.jsonl", json{{"id", "validation_Art_1"},
                               {"question", "Is <image 1> like <image 3>?"},
                               {"options", {"yes", "<image 2>"}},
                               {"question_type", "multiple-choice"},
                               {"answer", "A"},
                               {"image_1", "a.png"},
                               {"image_2", "b.png"},
                               {"image_3", "c.png"},
                               {"image_4", "d.png"}});
  const QuestionSet set = read("mmmu");
  ASSERT_EQ(set.questions.size(), 1U);
  const auto shown = [&](const char* protocol) {
    return shown_pictures(find_protocol(find_benchmark("mmmu"), protocol), set.questions[0]);
  };
  const std::string words = "Is <image 1> like <image 3>?\nA. yes\nB. <image 2>";
  for (const char* bunny : {"llava", "paper", "strict"}) {
    EXPECT_EQ(shown(bunny), Texts{"a.png"}) << bunny;
    EXPECT_THAT(prompt("mmmu", bunny, set, 0), testing::StartsWith("<image>\nIs <image 1> like")) << bunny;
  }
  EXPECT_EQ(shown("lmms-eval"), (Texts{"a.png", "b.png", "c.png"}));
  EXPECT_EQ(prompt("mmmu", "lmms-eval", set, 0), cat("<image> <image> <image>\n", words, "\n", kLetterLine));
  EXPECT_EQ(shown("vlmevalkit"), set.questions[0].pictures);
  EXPECT_EQ(prompt("mmmu", "vlmevalkit", set, 0), cat(" <image>  <image>  <image>  <image> ", words, kLetterLine));
}

TEST_F(HarnessPrompts, ScienceQaOfBunnysListIsAskedByVlmevalkitWithItsOptionsOnce) {
  const auto sample = [](const char* id, const char* asked) {
    return json{{"id", id},
                {"conversations", {{{"from", "human"}, {"value", asked}}, {{"from", "gpt"}, {"value", "B"}}}}};
  };
  json with_picture = sample("4", "<image>\nContext: A. hint\nA. hint again\nIs it liquid?\nA. yes\nB. no");
  with_picture["image"] = "4/image.png";
  put("bunny_test_CQM-A.json",
      json::array({with_picture, sample("5", "Which closing is correct?\nA. Love,\nZoe\nB. love,\nZoe")}));
  QuestionSet set = read("scienceqa");
  ASSERT_EQ(set.questions.size(), 2U);
  EXPECT_EQ(set.questions[1].text, "Which closing is correct?");
  EXPECT_EQ(set.questions[1].options, (Texts{"Love,\nZoe", "love,\nZoe"}));
  const std::string asked = cat(" <image> A. hint\nA. hint again\nIs it liquid?\nA. yes\nB. no", kLetterLine);
  EXPECT_EQ(prompt("scienceqa", "vlmevalkit", set, 0), asked);
  const json problem = {
      {"question", "Is it liquid?"}, {"hint", "A. hint\nA. hint again"}, {"choices", {"yes", "no"}}, {"answer", 1}};
  put("problems.json", json{{"4", problem}, {"5", problem}});
  set = read("scienceqa");
  EXPECT_EQ(set.questions.at(0).hint, "A. hint\nA. hint again");
  EXPECT_EQ(prompt("scienceqa", "vlmevalkit", set, 0), asked);
}

TEST_F(HarnessPrompts, AnOptionThatPandasTakesForMissingIsOneInScienceQasJsonToo) {
  const std::string asked = "Which?\nA. cat\nB. None\nC. dog", of_kit = " <image> Which?\nA. cat\nC. dog";
  const auto expect_marked = [&] {
    const QuestionSet set = read("scienceqa");
    ASSERT_EQ(set.questions.size(), 1U);
    EXPECT_EQ(set.questions[0].options, (Texts{"cat", "None", "dog"}));
    EXPECT_EQ(set.questions[0].missing_options, "B");
    EXPECT_EQ(prompt("scienceqa", "vlmevalkit", set, 0), cat(of_kit, kLetterLine));
    for (const char* protocol : {"llava", "lmms-eval", "strict"}) {
      EXPECT_EQ(prompt("scienceqa", protocol, set, 0), cat("<image>\n", asked, kLetterLine)) << protocol;
    }
    EXPECT_THAT(set.notes, testing::ElementsAre(testing::HasSubstr("pandas reads as missing")));
  };
  put("bunny_test_CQM-A.json",
      json::array({{{"id", "4"},
                    {"image", "4/image.png"},
                    {"conversations",
                     {{{"from", "human"}, {"value", cat("<image>\n", asked)}}, {{"from", "gpt"}, {"value", "A"}}}}}}));
  expect_marked();
  const json problem = {
      {"question", "Which?"}, {"choices", {"cat", "None", "dog"}}, {"answer", 0}, {"image", "image.png"}};
  put("problems.json", json{{"4", problem}, {"5", problem}});
  expect_marked();
  std::filesystem::remove(folder_.path() / "bunny_test_CQM-A.json");
  put("pid_splits.json", json{{"train", {"5"}}, {"test", {"4"}}});
  expect_marked();
}

TEST_F(HarnessPrompts, OnlyVlmevalkitAsksSeedWithoutTheOptionsThatPandasDoesNotSee) {
  const json question = {{"answer", "C"},        {"choice_a", "One"},       {"choice_b", "None"},
                         {"choice_c", "Two"},    {"choice_d", "Three"},     {"data_id", "7"},
                         {"data_type", "image"}, {"question", "How many?"}, {"question_id", "1"},
                         {"question_type_id", 5}};
  put("SEED-Bench.json", json{{"questions", json::array({question})},
                              {"question_type", {{"Scene Understanding", 1}, {"Instances Counting", 5}}}});
  const QuestionSet set = read("seed");
  ASSERT_EQ(set.questions.size(), 1U);
  EXPECT_EQ(set.questions[0].missing_options, "B");
  EXPECT_THAT(set.notes, testing::ElementsAre(testing::HasSubstr("pandas reads as missing")));
  EXPECT_EQ(prompt("seed", "vlmevalkit", set, 0), cat(" <image> How many?\nA. One\nC. Two\nD. Three", kLetterLine));
  for (const char* protocol : {"llava", "lmms-eval", "paper", "strict"}) {
    EXPECT_EQ(prompt("seed", protocol, set, 0),
              cat("<image>\nHow many?\nA. One\nB. None\nC. Two\nD. Three", kLetterLine))
        << protocol;
  }
}

}  // namespace
}  // namespace striate
