// Malformed rows of benchmarks' files: named, counted and left out, or the end of the reading.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/answers/benchmark_folder.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class BadRowsOfBenchmarks : public test::BenchmarkFolder {
 protected:
  QuestionSet skipping(std::string_view benchmark) const { return read(benchmark, OnBadRow::kSkip); }

  static std::vector<std::string> ids(const QuestionSet& set) {
    std::vector<std::string> all;
    for (const Question& question : set.questions) all.push_back(question.id);
    return all;
  }
  static std::string reason(const QuestionSet& set, std::size_t row) { return set.bad_rows.at(row).reason; }
};

TEST_F(BadRowsOfBenchmarks, LinesAreNamedByFileAndNumberAndLeftOut) {
  const json row = {{"question_id", 1}, {"image", "a.jpg"}, {"text", "Is there a dog?"}, {"label", "yes"}};
  json second = row, third = row;
  second["question_id"] = 3;
  third["label"] = "perhaps";
  put("coco_pope_random.json", cat(row.dump(), "\n{\"question_id\": 2, \n", second.dump(), "\n", third.dump(), "\n"));
  EXPECT_THAT(refusal("pope"), HasSubstr("coco_pope_random.json:2:"));
  const QuestionSet set = skipping("pope");
  EXPECT_THAT(ids(set), ElementsAre("random/1", "random/3"));
  ASSERT_EQ(set.bad_rows.size(), 2U);
  EXPECT_THAT(set.bad_rows[0].place, testing::EndsWith("coco_pope_random.json:2"));
  EXPECT_THAT(reason(set, 1), HasSubstr("coco_pope_random.json:4: the label 'perhaps' is neither yes nor no"));
  ASSERT_EQ(set.notes.size(), 1U);
  EXPECT_THAT(set.notes[0], testing::StartsWith("2 malformed rows were left out; the first: "));
}

TEST_F(BadRowsOfBenchmarks, TheHintNamesTheSettingThatLeavesThemOut) {
  put("questions.jsonl", std::string("{\n"));
  try {
    read("llava-json");
    ADD_FAILURE() << "the row was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("`on_bad_sample` skip"));
  }
}

TEST_F(BadRowsOfBenchmarks, QuestionsWithoutAnIdKeepTheNumbersOfTheirRows) {
  const auto turns = [](const char* answer) {
    return json{{"conversations", {{{"from", "human"}, {"value", "Why?"}}, {{"from", "gpt"}, {"value", answer}}}}}
        .dump();
  };
  put("questions.jsonl", cat(turns("a"), "\n{}\n", turns("b"), "\n"));
  EXPECT_THAT(ids(skipping("llava-json")), ElementsAre("0", "2"));
}

TEST_F(BadRowsOfBenchmarks, AQuestionGoesWithItsMalformedAnnotation) {
  const auto question = [](int id) { return json{{"question", "What?"}, {"image_id", id}, {"question_id", id}}; };
  const auto annotation = [](int id, const json& answers) {
    return json{{"question_id", id}, {"question_type", "color"}, {"answers", answers}};
  };
  const json red = {{{"answer", "red"}}};
  put("OpenEnded_mscoco_val2014_questions.json", json{{"questions", {question(1), question(2), question(3)}}});
  put("mscoco_val2014_annotations.json",
      json{{"annotations", {annotation(1, red), annotation(2, json::array()), annotation(3, red)}}});
  EXPECT_THAT(refusal("tdiuc"), HasSubstr("element 2: there are no answers"));
  const QuestionSet set = skipping("tdiuc");
  EXPECT_THAT(ids(set), ElementsAre("1", "3"));
  ASSERT_EQ(set.bad_rows.size(), 2U);
  EXPECT_THAT(reason(set, 1), HasSubstr("question 2 has no annotation"));
}

TEST_F(BadRowsOfBenchmarks, AQuestionIsNotAskedWithoutWhatItsPromptNeeds) {
  json data = json::array(), ten = json::array();
  for (int i = 0; i < 10; ++i) ten.push_back("x");
  for (const char* id : {"a", "b"}) data.push_back({{"question", "what?"}, {"image_id", id}, {"answers", ten}});
  put("TextVQA_0.5.1_val.json", json{{"data", data}});
  const json asked = {{"question_id", "a"}, {"image", "a.jpg"}, {"text", "what?\nReference OCR token: A"}};
  put("bunny_textvqa_val_v051_ocr.jsonl", cat(asked.dump(), "\n{\"question_id\": \"b\"}\n"));
  const QuestionSet set = skipping("textvqa");
  EXPECT_THAT(ids(set), ElementsAre("a"));
  EXPECT_THAT(reason(set, 0), HasSubstr("ocr.jsonl:2: there is no \"text\""));
  EXPECT_THAT(reason(set, 1), HasSubstr("question b has no OCR tokens"));
}

TEST_F(BadRowsOfBenchmarks, AMalformedAnswerLeavesNoHalfOfItself) {
  const auto question = [](const char* id) {
    return json{{"id", id}, {"question", "Who?"}, {"options", {"A", "B"}}, {"question_type", "multiple-choice"}}.dump();
  };
  put("validation.jsonl", cat(question("validation_Art_1"), "\n", question("validation_Art_2"), "\n"));
  put("answer_dict_val.json", json{{"validation_Art_1", {{"ground_truth", "B"}}},
                                   {"validation_Art_2", {{"question_type", "open"}, {"ground_truth", "A"}}}});
  const QuestionSet set = skipping("mmmu");
  EXPECT_THAT(ids(set), ElementsAre("validation_Art_2"));
  EXPECT_EQ(set.bad_rows.size(), 2U);
}

TEST_F(BadRowsOfBenchmarks, RowsOfTablesAndLinesOfTextAreLeftOutToo) {
  put("test/anatomy_test.csv", std::string("Q0,a,b,c,d,A\nQ1,a,b,c,A\nQ2,a,b,c,d,E\nQ3,a,b,c,d,B\n"));
  QuestionSet set = skipping("mmlu");
  EXPECT_THAT(ids(set), ElementsAre("anatomy/0", "anatomy/3"));
  EXPECT_THAT(reason(set, 0), HasSubstr("anatomy_test.csv:2: there is no \"5\""));
  EXPECT_THAT(reason(set, 1), HasSubstr("anatomy_test.csv:3: the answer 'E' is not A, B, C or D"));
  put("OCR/1.txt", std::string("Is this A?\tYes\nIs this B?\tMaybe\n"));
  set = skipping("mme");
  EXPECT_EQ(set.questions.size(), 1U);
  EXPECT_THAT(reason(set, 0), HasSubstr("OCR/1.txt:2: not a question"));
}

TEST_F(BadRowsOfBenchmarks, AFileWithoutAGoodRowIsStillRefused) {
  put("test.jsonl", std::string("{\"question\": 1}\n{\"question\": 2}\n"));
  try {
    skipping("gsm8k");
    ADD_FAILURE() << "there is no question";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr("2 malformed rows were left out; the first: "));
  }
}

}  // namespace
}  // namespace striate
