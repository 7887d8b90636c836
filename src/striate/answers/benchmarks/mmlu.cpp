// MMLU, test: 57 subjects. Source: Hendrycks et al., ICLR 2021; the prompt of lm-evaluation-harness.
#include "striate/answers/benchmarks/all.h"
#include "striate/answers/exam.h"
#include "striate/answers/python_text.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

std::string mmlu_preamble(const std::string& subject) {
  return cat("The following are multiple choice questions (with answers) about ", python::replace(subject, "_", " "),
             ".\n\n");
}

Exam mmlu_exam() {
  const std::string from = "https://people.eecs.berkeley.edu/~hendrycks/data.tar";
  return {.test = {{"test/*_test.csv", "data/test/*_test.csv", "*_test.csv", "all/test-*.parquet", "test-*.parquet"},
                   "a table for each subject",
                   from},
          .examples = {{"dev/*_dev.csv", "data/dev/*_dev.csv", "*_dev.csv", "all/dev-*.parquet", "dev-*.parquet"},
                       "five solved questions each",
                       from,
                       true},
          .has_header = false,
          .preamble = mmlu_preamble,
          .answer_mark = "\nAnswer:"};
}

}  // namespace

Benchmark mmlu_benchmark() {
  return {.name = "mmlu",
          .title = "MMLU (test)",
          .measures = "knowledge of 57 subjects, by multiple choice",
          .files = {mmlu_exam().test, mmlu_exam().examples},
          .kinds = {"subject"},
          .protocols = exam_protocols(mmlu_exam()),
          .read = [](const DataFolder& data) { return read_exam(mmlu_exam(), data); }};
}

}  // namespace striate
