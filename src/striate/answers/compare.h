// Runs against each other, question by question: `striate eval compare`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "striate/answers/score.h"

namespace striate {

// What was evaluated, as run.json or the flags say.
struct EvaluatedPart {
  std::string benchmark;
  std::filesystem::path data;
  std::string protocol;
  std::filesystem::path pictures{};  // the folder of its pictures; empty: run.json does not say
  bool without_pictures = false;     // its questions were asked with the pictures left out
  std::int64_t limit = 0;            // its first so many questions were asked (questions_to_ask()); 0: all
};

// The parts that a run's run.json lists: {"benchmarks": [{"name", "data", "protocol", "pictures", "without_pictures",
// "limit"}, ...]}, of which the last three may be absent. Throws InvalidInput where the folder has no run.json,
// CorruptData where it lists none.
std::vector<EvaluatedPart> evaluated_parts(const std::filesystem::path& run);

// A question whose score is another in the second run.
struct ChangedQuestion {
  const Question* question = nullptr;
  double before = 0, after = 0;  // 0 to 1
  std::string parsed_before{}, parsed_after{};
};

// A run against the first.
struct RunDifference {
  std::int64_t questions = 0;    // answered in both
  double first = 0, second = 0;  // the headline over these
  double difference = 0;         // second - first
  Interval interval{};           // of the difference, paired
  std::vector<ChangedQuestion> better{}, worse{};
};

// A run, and its twin: the same model, asked the same questions with their pictures left out.
struct PictureUse {
  std::size_t with = 0, without = 0;  // numbers of PartComparison::runs
  RunDifference difference{};         // with - without

  bool looked() const { return difference.interval.low > 0; }
};

// What `use` says, in words: "looks at the pictures", "did not look" where the interval contains 0, or that the score
// is higher without them.
std::string picture_verdict(const PictureUse& use);

struct PartComparison {
  const Benchmark* benchmark = nullptr;
  const Protocol* protocol = nullptr;
  std::unique_ptr<const QuestionSet> set;
  std::vector<std::unique_ptr<const AnswerFile>> files{};  // one per run
  std::vector<ProtocolScore> runs{};                       // each by itself
  std::vector<bool> without_pictures{};                    // one per run, as its run.json says
  std::vector<RunDifference> differences{};                // of the second and later runs to the first
  std::vector<PictureUse> picture_uses{};                  // of the runs whose twin is here, too
};

// Whether the benchmark shows pictures; questions of one's own do where one of them has a picture.
bool is_visual(const Benchmark& benchmark, const QuestionSet& set);

struct CompareRequest {
  std::vector<std::filesystem::path> runs{};  // two or more: folders of runs, or files of answers
  std::vector<EvaluatedPart> parts{};         // empty: what the first run's run.json lists
  Resampling resampling{};
  OnBadRow on_bad_row = OnBadRow::kStop;  // of the benchmarks' files
};

// One comparison for each part. Throws what score() throws, and InvalidInput where no question was answered in both.
std::vector<PartComparison> compare_runs(const CompareRequest& request);

}  // namespace striate
