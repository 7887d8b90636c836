// The files of text benchmarks as their publishers ship them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/answers/benchmark_folder.h"

namespace striate {
namespace {

using nlohmann::json;
using test::Texts;
using testing::HasSubstr;

class TextFiles : public test::BenchmarkFolder {};

TEST_F(TextFiles, MmluIsATableWithoutHeadForEachSubject) {
  put("data/test/abstract_algebra_test.csv",
      std::string("\"Find the degree, please.\",0,4,2,6,B\nStatement 1 | x,\"True, True\",\"False, False\",a,b,C\n"));
  put("data/dev/abstract_algebra_dev.csv", std::string("Find all c.,0,1,2,3,B\n"));
  const QuestionSet set = read("mmlu");
  ASSERT_EQ(set.questions.size(), 2U);
  EXPECT_EQ(set.questions[0].id, "abstract_algebra/0");
  EXPECT_EQ(set.questions[0].options, (Texts{"0", "4", "2", "6"}));
  EXPECT_EQ(set.questions[0].references, Texts{"B"});
  EXPECT_EQ(set.questions[1].kinds.at("subject"), Texts{"abstract_algebra"});
  const std::string before = "The following are multiple choice questions (with answers) about abstract algebra.\n\n";
  const std::string asked = "Find the degree, please.\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:";
  EXPECT_EQ(prompt("mmlu", "lm-eval", set, 0), cat(before, asked));
  EXPECT_EQ(prompt("mmlu", "lm-eval-5shot", set, 0),
            cat(before, "Find all c.\nA. 0\nB. 1\nC. 2\nD. 3\nAnswer: B\n\n", asked));
  put("data/test/abstract_algebra_test.csv", std::string("q,0,4,2,6,E\n"));
  EXPECT_THAT(refusal("mmlu"), HasSubstr("abstract_algebra_test.csv:1: the answer 'E' is not A, B, C or D"));
}

TEST_F(TextFiles, CevalIsAskedInChineseByTheNameOfTheSubject) {
  put("val/computer_network_val.csv",
      std::string(
          "id,question,A,B,C,D,answer\n0,使用位填充方法，以__为位首标志,0111 1110,0111 1111,1111 1110,1111 1111,A\n"));
  put("dev/computer_network_dev.csv",
      std::string("id,question,A,B,C,D,answer,explanation\n0,下列设备属于__,a,b,c,d,D,\"因为,所以\"\n"));
  const QuestionSet set = read("c-eval");
  EXPECT_EQ(set.questions.at(0).references, Texts{"A"});
  const std::string before = "以下是中国关于计算机网络的单项选择题，请选出其中的正确答案。\n\n";
  const std::string asked =
      "使用位填充方法，以__为位首标志\nA. 0111 1110\nB. 0111 1111\nC. 1111 1110\nD. 1111 1111\n答案：";
  EXPECT_EQ(prompt("c-eval", "lm-eval", set, 0), cat(before, asked));
  EXPECT_EQ(prompt("c-eval", "lm-eval-5shot", set, 0),
            cat(before, "下列设备属于__\nA. a\nB. b\nC. c\nD. d\n答案： D\n\n", asked));
}

TEST_F(TextFiles, CmmluHasColumnsOfOtherNames) {
  put("test/agronomy.csv", std::string(",Question,A,B,C,D,Answer\n0,在农业生产中，?,合成,分解,一,二,C\n"));
  const QuestionSet set = read("cmmlu");
  EXPECT_EQ(set.questions.at(0).id, "agronomy/0");
  EXPECT_EQ(set.questions[0].references, Texts{"C"});
  EXPECT_THAT(
      prompt("cmmlu", "lm-eval", set, 0),
      testing::StartsWith("以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n在农业生产中，?\nA. 合成\n"));
}

TEST_F(TextFiles, BbhJoinsTasksAndTheirWorkedExamples) {
  put("bbh/navigate.json",
      json{{"canary", "never"}, {"examples", {{{"input", "Turn.\nOptions:\n- Yes\n- No"}, {"target", "No"}}}}});
  put("cot-prompts/navigate.txt",
      std::string("canary GUID 1\n-----\nGiven instructions.\n\nQ: Go?\nA: So the answer is No.\n"));
  const QuestionSet set = read("bbh");
  EXPECT_EQ(set.questions.at(0).id, "navigate/0");
  EXPECT_EQ(set.questions[0].references, Texts{"No"});
  EXPECT_EQ(
      prompt("bbh", "lm-eval", set, 0),
      "Given instructions.\n\nQ: Go?\nA: So the answer is No.\n\nQ: Turn.\nOptions:\n- Yes\n- No\nA: Let's think step "
      "by step.\n");
}

TEST_F(TextFiles, Gsm8kShowsTheFirstFiveOfTrain) {
  put("test.jsonl", json{{"question", "How many?"}, {"answer", "One and one.\n#### 2"}});
  std::string train;
  for (int i = 0; i < 7; ++i) train += json{{"question", cat("q", i)}, {"answer", cat("#### ", i)}}.dump() + "\n";
  put("train.jsonl", train);
  const QuestionSet set = read("gsm8k");
  EXPECT_EQ(set.questions.at(0).references, Texts{"One and one.\n#### 2"});
  const std::string asked = prompt("gsm8k", "lm-eval", set, 0);
  EXPECT_THAT(asked, testing::StartsWith("Question: q0\nAnswer: #### 0\n\nQuestion: q1\n"));
  EXPECT_THAT(asked, testing::EndsWith("Question: q4\nAnswer: #### 4\n\nQuestion: How many?\nAnswer:"));
}

TEST_F(TextFiles, PerplexityIsOfEveryTextFileAndOfTheLinesOfJsonLines) {
  put("b.txt", std::string("one\ntwo"));
  put("a.jsonl", std::string("{\"text\": \"three\"}\n{\"text\": \"four\"}\n"));
  const QuestionSet set = read("perplexity");
  Texts ids, texts;
  for (const Question& question : set.questions) {
    ids.push_back(question.id);
    texts.push_back(question.text);
  }
  EXPECT_THAT(ids, testing::UnorderedElementsAre("b.txt", "a.jsonl/0", "a.jsonl/1"));
  EXPECT_THAT(texts, testing::UnorderedElementsAre("one\ntwo", "three", "four"));
  put("c.txt", std::string("\xff\xfe"));
  EXPECT_THAT(refusal("perplexity"), HasSubstr("c.txt: not UTF-8"));
}

}  // namespace
}  // namespace striate
