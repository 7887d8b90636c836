// Exams: tables of four-choice questions by subject, answered by the likeliest letter (MMLU, C-Eval, CMMLU).
#pragma once

#include <string>
#include <vector>

#include "striate/answers/benchmark.h"

namespace striate {

struct Exam {
  NeededFile test, examples;  // a CSV file for each subject ("anatomy_test.csv"), or Parquet
  bool has_header = true;
  const char* question = "question";  // names of the columns
  const char* answer = "answer";
  std::string (*preamble)(const std::string& subject) = nullptr;  // what a prompt begins with
  std::string answer_mark;                                        // what it ends with: "\nAnswer:"
};

// The subject is the column `subject` of Parquet files, or the name of their folder; else the file's name without
// "_test", "_val", "_dev". Throws CorruptData, naming file and row.
QuestionSet read_exam(const Exam& exam, const DataFolder& data);

// "lm-eval" without examples, as the harness's files have it, and "lm-eval-5shot".
std::vector<Protocol> exam_protocols(const Exam& exam);

}  // namespace striate
