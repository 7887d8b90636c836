// GSM8K, test: grade-school arithmetic in words. Source: Cobbe et al., 2021; grade-school-math's dataset.py.
#include "striate/answers/benchmarks/all.h"
#include "striate/answers/prompts.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

constexpr std::size_t kGsm8kShots = 5;

const NeededFile& gsm8k_test_file() {
  static const NeededFile file{{"test.jsonl", "gsm8k_test.jsonl", "test-*.parquet", "main/test-*.parquet"},
                               "the test questions with worked answers",
                               "grade_school_math/data of github.com/openai/grade-school-math"};
  return file;
}

const NeededFile& gsm8k_train_file() {
  static const NeededFile file{{"train.jsonl", "gsm8k_train.jsonl", "train-*.parquet", "main/train-*.parquet"},
                               "worked examples to show first",
                               "grade_school_math/data of github.com/openai/grade-school-math",
                               true};
  return file;
}

Question gsm8k_question(const Row& row) {
  Question question;
  question.publisher_id = std::to_string(row.number);
  question.text = text_of(row, "question");
  question.references = {text_of(row, "answer")};
  return question;
}

QuestionSet read_gsm8k(const DataFolder& data) {
  QuestionSet set;
  const std::filesystem::path test = data.require(gsm8k_test_file());
  data.each_row(test, [&](const Row& row) { set.questions.push_back(gsm8k_question(row)); });
  const auto train = data.find(gsm8k_train_file());
  if (!train || *train == test) return set;
  std::vector<Question>& shots = set.examples[""];
  const auto examples = open_rows(*train);
  const auto take = [&](const Row& row) { shots.push_back(gsm8k_question(row)); };
  while (shots.size() < kGsm8kShots && data.bad_rows().take_next(*examples, take)) {
  }
  return set;
}

std::string gsm8k_prompt(const Question& question, const QuestionSet& set) {
  std::string prompt;
  const auto shots = set.examples.find("");
  if (shots != set.examples.end()) {
    for (const Question& shot : shots->second) {
      prompt += cat("Question: ", shot.text, "\nAnswer: ", shot.references[0], "\n\n");
    }
  }
  return cat(prompt, "Question: ", question.text, "\nAnswer:");
}

std::vector<Protocol> gsm8k_protocols() {
  Protocol flexible = text_protocol({"lm-eval", "five-shot-256",
                                     "five worked examples, then \"Question: ...\" and "
                                     "\"Answer:\"",
                                     "gsm8k-flexible", 256, gsm8k_prompt});
  flexible.bare = true;
  flexible.decoding.stop = {"Question:", "</s>", "<|im_end|>"};
  flexible.notes = {"lm-evaluation-harness draws its five examples at random; here they are the first of train.jsonl"};
  return {flexible, rescored(flexible, "lm-eval-strict-match", "gsm8k-strict-match"),
          rescored(flexible, "strict", "gsm8k")};
}

}  // namespace

Benchmark gsm8k_benchmark() {
  return {.name = "gsm8k",
          .title = "GSM8K (test)",
          .measures = "grade-school arithmetic told in words",
          .files = {gsm8k_test_file(), gsm8k_train_file()},
          .protocols = gsm8k_protocols(),
          .read = read_gsm8k};
}

}  // namespace striate
