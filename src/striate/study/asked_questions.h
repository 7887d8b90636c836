// The questions that a study asks of every model, and what answers to them are worth.
#pragma once

#include <filesystem>
#include <string>

#include "striate/answers/benchmark.h"
#include "striate/answers/score.h"

namespace striate::study {

// Questions of a benchmark: those that a protocol asks, the first `limit` of them (0: all).
class AskedQuestions {
 public:
  // Throws what find_benchmark(), find_protocol() and read_questions() throw; InvalidInput where there are no right
  // answers.
  AskedQuestions(const std::string& benchmark, const std::string& protocol, const std::filesystem::path& data,
                 std::int64_t limit);

  const Benchmark& benchmark() const { return *benchmark_; }
  const Protocol& protocol() const { return *protocol_; }
  const QuestionSet& set() const { return set_; }
  // Of an answers.jsonl or the folder of a run. Without intervals.
  ProtocolScore score(const AnswerFile& answers) const;

 private:
  const Benchmark* benchmark_;
  const Protocol* protocol_;
  QuestionSet set_;
};

}  // namespace striate::study
