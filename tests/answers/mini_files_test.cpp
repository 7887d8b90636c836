// The miniature world as a benchmark, from the files that `striate mini render` writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "striate/answers/metrics.h"
#include "striate/mini/dataset.h"
#include "tests/answers/benchmark_folder.h"

namespace striate {
namespace {

using nlohmann::json;
using test::Texts;
using testing::HasSubstr;

class MiniFiles : public test::BenchmarkFolder {
 protected:
  static json sample(const std::string& id, const std::string& question, const std::string& answer) {
    return {{"id", id},
            {"conversations", {{{"from", "human"}, {"value", question}}, {{"from", "gpt"}, {"value", answer}}}}};
  }
};

TEST_F(MiniFiles, PicturesAndTextsAreAskedAsWritten) {
  json picture = sample("test-000003-count-1", "<image>\nHow many objects are there?", "2");
  picture["image"] = "test/000003.png";
  put("test.json", json::array({picture}));
  put("text_test.json", json::array({sample("text_test-000000-facts-0", "What is the pet of Ada?", "owl"),
                                     sample("text_test-000001-ocr-0", "Scene: text-37 _\nWhat is the text?", "37")}));
  const QuestionSet pictures = read("mini"), text = read("mini-text"), words = read("mini-words");
  ASSERT_EQ(pictures.questions.size(), 1U);
  EXPECT_EQ(pictures.questions[0].kinds.at("kind"), Texts{"count"});
  EXPECT_EQ(pictures.questions[0].pictures, Texts{"test/000003.png"});
  EXPECT_EQ(pictures.questions[0].group, "test-000003");
  EXPECT_EQ(prompt("mini", "strict", pictures, 0), "<image>\nHow many objects are there?");
  ASSERT_EQ(text.questions.size(), 1U);
  EXPECT_EQ(text.questions[0].id, "text_test-000000-facts-0");
  EXPECT_EQ(text.questions[0].references, Texts{"owl"});
  ASSERT_EQ(words.questions.size(), 1U);
  EXPECT_EQ(prompt("mini-words", "strict", words, 0), "Scene: text-37 _\nWhat is the text?");
}

TEST_F(MiniFiles, TheTestPartComesBeforeTheHeldOutOne) {
  put("held_out.json", json::array({sample("held_out-000000-color-0", "<image>\nWhat color is the ring?", "red")}));
  EXPECT_EQ(read("mini").questions.at(0).id, "held_out-000000-color-0");
  put("test.json", json::array({sample("test-000000-color-0", "<image>\nWhat color is the ring?", "red")}));
  EXPECT_EQ(read("mini").questions.at(0).id, "test-000000-color-0");
}

TEST_F(MiniFiles, EveryKindCountsAlikeInTheMean) {
  put("test.json", json::array({sample("test-000000-color-0", "<image>\nA?", "red"),
                                sample("test-000000-color-1", "<image>\nB?", "blue"),
                                sample("test-000001-exist-0", "<image>\nC?", "yes")}));
  const QuestionSet set = read("mini");
  const Protocol& strict = find_protocol(find_benchmark("mini"), "strict");
  std::vector<Scored> items;
  for (std::size_t i = 0; i < 3; ++i) {
    items.push_back(
        {.question = &set.questions[i], .judgement = strict.judge(set.questions[i], i == 1 ? "red" : " Red")});
  }
  EXPECT_DOUBLE_EQ(items[0].judgement.score, 1);
  EXPECT_DOUBLE_EQ(strict.headline(items, ones(3)), 25);  // color 50, exist 0
  const std::vector<Metric> metrics = strict.more(items);
  ASSERT_EQ(metrics.size(), 1U);
  EXPECT_EQ(metrics[0].name, "all questions");
  EXPECT_NEAR(metrics[0].value, 100.0 / 3, 1e-9);
}

TEST_F(MiniFiles, WhatTheRendererWritesIsReadWhole) {
  mini::DatasetOptions options;
  options.train = 1;
  options.held_out = 1;
  options.test = 30;
  options.text = 300;
  mini::write_dataset(options, folder_.path() / "world");
  const std::filesystem::path world = folder_.path() / "world";
  const auto count = [&](const char* name) { return read_questions(find_benchmark(name), world).questions.size(); };
  EXPECT_EQ(
      count("mini") + count("mini-text") + count("mini-words"),
      json::parse(read_file(world / "test.json")).size() + json::parse(read_file(world / "text_test.json")).size());
  EXPECT_GT(count("mini"), 50U);
  EXPECT_GT(count("mini-text"), 2U);
  EXPECT_GT(count("mini-words"), 10U);
}

TEST_F(MiniFiles, OtherFilesAreRefused) {
  EXPECT_THAT(refusal("mini"), HasSubstr("test.json"));
  EXPECT_THAT(refusal("mini-text"), HasSubstr("text_test.json"));
  put("test.json", json::array({sample("7", "<image>\nA?", "red")}));
  EXPECT_THAT(refusal("mini"), HasSubstr("the id '7' does not name the kind"));
  json two = sample("test-000000-color-0", "<image>\nA?", "red");
  two["conversations"].push_back({{"from", "human"}, {"value", "B?"}});
  put("test.json", json::array({two}));
  EXPECT_THAT(refusal("mini"), HasSubstr("not one question and its answer"));
}

}  // namespace
}  // namespace striate
