// Answers become scores: `striate eval score`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "striate/answers/answer_file.h"
#include "striate/answers/benchmark.h"
#include "striate/answers/bootstrap.h"

namespace striate {

// The mean score of the questions of one kind.
struct KindScore {
  std::string value;
  double score = 0;  // 0 to 100
  std::int64_t questions = 0;
};

struct ProtocolScore {
  const Protocol* protocol = nullptr;
  Metric headline{};
  Interval interval{};  // of the headline
  std::vector<Metric> more{};
  std::vector<std::pair<std::string, std::vector<KindScore>>> kinds{};
  std::int64_t questions = 0;     // that this protocol asks
  std::int64_t answered = 0;      // of these
  std::int64_t empty = 0;         // answers without a character that is not white space
  std::int64_t unparsed = 0;      // answers in which the rule found none
  std::int64_t cut = 0;           // answers that were cut off at the most tokens
  std::int64_t other_prompt = 0;  // answers to another prompt than this protocol's
  std::vector<Scored> items{};    // what was scored: every answered question; with missing_is_wrong, all
};

// Which answer is which question's.
class MatchedAnswers {
 public:
  // Throws InvalidInput where the answers are of another benchmark, CorruptData where a question was answered twice.
  // Where a file holds answers to several prompts, those to `asking` are taken.
  MatchedAnswers(const Benchmark& benchmark, const QuestionSet& set, const AnswerFile& file, const std::string& asking);

  // nullptr: none.
  const Answer* of(std::size_t question) const { return of_question_[question]; }

 private:
  std::vector<const Answer*> of_question_;
};

// The score of `answers` by one protocol. Pointers in the result are into `set` and `answers`. A run that asked only
// the first questions (`limit`, as of questions_to_ask(); 0: all) is scored by these, even where the protocol counts
// what was not answered as wrong.
ProtocolScore score_answers(const Benchmark& benchmark, const Protocol& protocol, const QuestionSet& set,
                            const AnswerFile& answers, const Resampling& resampling, std::int64_t limit = 0);

struct ScoreRequest {
  std::filesystem::path answers;  // a file, or a run's folder
  std::string benchmark;
  std::filesystem::path data;
  std::vector<std::string> protocols{};  // empty: all of the benchmark
  Resampling resampling{};
  OnBadRow on_bad_row = OnBadRow::kStop;  // of the benchmark's files
  std::int64_t limit = 0;                 // as of score_answers()
};

struct ScoreResult {
  const Benchmark* benchmark = nullptr;
  std::filesystem::path answers;
  bool cut_line = false;
  std::unique_ptr<const QuestionSet> set;
  std::unique_ptr<const AnswerFile> file;  // what the scores point into
  std::vector<ProtocolScore> scores{};
};

// Throws InvalidInput for names that there are not and files that are missing; else what the readers throw.
ScoreResult score(const ScoreRequest& request);

}  // namespace striate
