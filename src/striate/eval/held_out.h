// Evaluation on held-out samples: the loss, and how many questions the model answers exactly.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "striate/answers/benchmark.h"
#include "striate/answers/bootstrap.h"
#include "striate/eval/evaluation_set.h"
#include "striate/ranks/collective.h"

namespace striate {

// What the model said to one question.
struct HeldOutAnswer {
  std::int64_t sample = 0;  // its number in the set
  std::string name;         // the sample's id and place in the file, for people
  std::string reference, text;
  bool exact = false;    // both are the same but for white space around them; of a benchmark: its score is full
  std::string record{};  // the line that is kept of it, its end included; empty: what is above
};

// What the protocol of a benchmark says of the answers.
struct BenchmarkScore {
  std::string benchmark, protocol;
  Metric headline;
  Interval interval;  // of the headline
  std::int64_t questions = 0, answered = 0;
  std::int64_t empty = 0, unparsed = 0, cut = 0;  // of the answered; as in ProtocolScore
  std::int64_t bad = 0;                           // questions that could not be asked
};

// The lines that are kept of answers: those of a benchmark as in answers.jsonl of a run (answers/answer.h), others
// "sample", "question_id", "reference", "text" and "exact" as JSON.
std::string held_out_lines(const std::vector<HeldOutAnswer>& answers);

// The result of one evaluation, of held-out samples or of a benchmark. Loss is in nats per target.
struct EvaluationMetrics {
  std::int64_t step = 0;  // of the run, 0 where there is none
  double loss = 0;        // mean over all targets; NaN for a benchmark
  std::int64_t targets = 0;
  std::int64_t questions = 0;  // asked for an answer
  std::int64_t exact = 0;      // answered exactly
  double seconds = 0;
  // Standard errors of the loss and of the share answered exactly, over samples: the targets and the questions of one
  // sample are one draw. NaN below two samples, or without targets or questions.
  double loss_error = std::numeric_limits<double>::quiet_NaN();
  double exact_error = std::numeric_limits<double>::quiet_NaN();
  std::vector<HeldOutAnswer> answers{};       // of this rank, in the order of the samples; a benchmark's: of all ranks
  std::optional<BenchmarkScore> benchmark{};  // what was asked; absent: samples
};

// The standard error of a ratio of sums over samples, sum(y) / sum(n): of a mean over targets, for one.
class RatioError {
 public:
  void add(double y, double n);
  // The sums, for ranks to add theirs to.
  std::span<double> sums() { return sums_; }
  // sqrt(k / (k - 1) * sum((y - r n)^2)) / sum(n) with the ratio r of k samples (Cochran, Sampling Techniques, 1977,
  // 2.11). NaN below two samples, or where sum(n) is 0.
  double value() const;

 private:
  std::array<double, 6> sums_{};  // samples, y, n, y y, y n, n n
};

struct AnswerOptions {
  TemplateKind conversation = TemplateKind::kVicunaV1;
  std::int64_t max_tokens = 32;           // of an answer; 0: no question is asked, the loss alone is measured
  std::int64_t context = 2048;            // of prompt and answer together
  std::int64_t tokens_per_stream = 8192;  // samples are packed to streams of about so many, for the loss
  std::int64_t answers_at_once = 16;      // under way together
};

// How far it is: samples done, of this rank's share.
using EvaluationProgress = std::function<void(std::int64_t done, std::int64_t total)>;

// Mean loss over the targets of every sample, and how many answers are exactly the reference's: greedy, compared as
// text without white space around it. The ranks share the samples. Model, tokenizer and set are those of this rank.
// `progress`, where there is one, is called before the first sample and after each.
EvaluationMetrics evaluate_held_out(const Lvlm& model, const std::shared_ptr<const Tokenizer>& tokenizer,
                                    EvaluationSet& set, Collective& ranks, const AnswerOptions& options,
                                    const EvaluationProgress& progress = {});

}  // namespace striate
