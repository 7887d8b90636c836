#include "striate/answers/exam.h"

#include <algorithm>
#include <map>

#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

constexpr std::size_t kExamShots = 5;

std::string exam_subject(const std::filesystem::path& path) {
  std::string name = path.stem().string();
  for (const std::string_view ending : {"_test", "_val", "_dev"}) {
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  }
  return name;
}

// How a file's columns are called: the exam's own way, or Hugging Face's.
struct ExamColumns {
  const char* question;
  const char* answer;
  std::vector<const char*> options;
};

ExamColumns exam_columns(const Exam& exam) {
  if (exam.has_header) return {exam.question, exam.answer, {"A", "B", "C", "D"}};
  return {"0", "5", {"1", "2", "3", "4"}};
}

Question exam_question(const ExamColumns& columns, const Row& row) {
  Question question;
  question.text = python::strip(text_of(row, columns.question));
  std::string answer = text_of(row, columns.answer);
  if (has(row, "choices")) {  // MMLU in Parquet: a list, and the number of the right one
    question.options = texts_of(row, "choices");
    if (answer.size() == 1) answer[0] = static_cast<char>(answer[0] - '0' + 'A');
  } else {
    for (const char* column : columns.options) question.options.push_back(text_of(row, column));
  }
  if (answer.size() != 1 || answer[0] < 'A' || answer[0] > 'D') {
    bad_row(row, cat("the answer '", text_of(row, columns.answer), "' is not A, B, C or D"));
  }
  question.references = {answer};
  return question;
}

std::vector<Question> read_table(const Exam& exam, const DataFolder& data, const std::filesystem::path& path) {
  std::vector<Question> questions;
  std::map<std::string, std::size_t> numbers;
  const bool is_parquet = path.extension() == ".parquet";
  const ExamColumns columns = is_parquet ? ExamColumns{"question", "answer", {"A", "B", "C", "D"}} : exam_columns(exam);
  const std::string folder = path.parent_path().filename().string();
  const auto rows = is_parquet ? open_rows(path) : open_table(path, ',', exam.has_header);
  data.bad_rows().take_all(*rows, [&](const Row& row) {
    const std::string subject = is_parquet ? text_of(row, "subject", folder) : exam_subject(path);
    const std::size_t number = numbers[subject]++;
    questions.push_back(exam_question(columns, row));
    questions.back().publisher_id = cat(subject, "/", number);
    questions.back().kinds["subject"] = {subject};
  });
  return questions;
}

std::string exam_body(const Exam& exam, const Question& question) {
  return cat(question.text, lettered_options(question), exam.answer_mark);
}

PromptRule exam_prompt(const Exam& exam, bool with_examples) {
  return [exam, with_examples](const Question& question, const QuestionSet& set) {
    const std::string& subject = question.kinds.at("subject")[0];
    std::string prompt = exam.preamble(subject);
    const auto shots = set.examples.find(subject);
    if (with_examples && shots != set.examples.end()) {
      for (const Question& shot : shots->second) {
        prompt += cat(exam_body(exam, shot), " ", shot.references[0], "\n\n");
      }
    }
    return prompt + exam_body(exam, question);
  };
}

std::vector<Metric> exam_more(std::span<const Scored> items) {
  const auto parts = parts_by_kind(items, ones(items.size()), "subject");
  double sum = 0;
  for (const auto& [subject, part] : parts) sum += mean_score(part.items);
  return {
      {"mean of the subjects", sum / static_cast<double>(parts.size()), "%", static_cast<std::int64_t>(items.size())}};
}

}  // namespace

QuestionSet read_exam(const Exam& exam, const DataFolder& data) {
  QuestionSet set;
  const std::vector<std::filesystem::path> tests = data.require_all(exam.test);
  for (const auto& path : tests) {
    for (Question& question : read_table(exam, data, path)) set.questions.push_back(std::move(question));
  }
  for (const auto& path : data.find_all(exam.examples)) {
    if (std::ranges::find(tests, path) != tests.end()) continue;  // a file that stands for the whole folder
    for (Question& question : read_table(exam, data, path)) {
      std::vector<Question>& shots = set.examples[question.kinds.at("subject")[0]];
      if (shots.size() < kExamShots) shots.push_back(std::move(question));
    }
  }
  return set;
}

std::vector<Protocol> exam_protocols(const Exam& exam) {
  Protocol zero = text_protocol({"lm-eval", "letter-likelihood-0",
                                 "the subject, question, \"A. ...\" and the mark of an "
                                 "answer",
                                 "exact", 0, exam_prompt(exam, false)});
  zero.kind = AnswerKind::kLetter;
  zero.bare = true;
  zero.scoring = "the letter of the highest log-probability is right";
  zero.more = exam_more;
  zero.notes = {"no examples are shown, as lm-evaluation-harness does unless it is told a number"};
  Protocol five = zero;
  five.name = "lm-eval-5shot";
  five.asking = "letter-likelihood-5";
  five.prompt_rule = "the subject, five solved questions of it, then as lm-eval";
  five.prompt = exam_prompt(exam, true);
  five.notes.clear();
  return {zero, five};
}

}  // namespace striate
