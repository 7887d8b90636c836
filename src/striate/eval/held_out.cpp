#include "striate/eval/held_out.h"

#include <ATen/ops/sum.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <span>

#include "striate/base/elapsed.h"
#include "striate/base/strings.h"
#include "striate/infer/answer_ends.h"
#include "striate/infer/generate.h"

namespace striate {
namespace {

GenerationOptions greedy(const Lvlm& model, const Tokenizer& tokenizer, const AnswerOptions& options) {
  GenerationOptions generation;
  generation.sampling.temperature = 0;
  generation.max_tokens = options.max_tokens;
  end_as_conversation(generation, model.config(), tokenizer, options.conversation);
  return generation;
}

// What is summed over samples and ranks.
struct Tally {
  double nll = 0;
  std::int64_t targets = 0;
  std::int64_t questions = 0;
  std::int64_t exact = 0;
  RatioError loss_error, exact_error;
};

// The targets that pack() makes of a sample: the labels but the first.
std::size_t target_count(const Sample& sample) {
  if (sample.labels.empty()) return 0;
  const auto learned = [](std::int64_t label) { return label != kIgnoreLabel; };
  return static_cast<std::size_t>(std::count_if(sample.labels.begin() + 1, sample.labels.end(), learned));
}

void add_loss(Tally& tally, const Lvlm& model, const std::vector<Sample>& samples) {
  if (samples.empty()) return;
  const PackedBatch batch = pack(samples);
  const at::Tensor nll = model.target_nll(model.forward(batch), batch);
  tally.nll += nll.sum(at::kDouble).item<double>();
  tally.targets += nll.numel();
  const at::Tensor values = nll.to(at::kCPU, at::kDouble).contiguous();
  std::span<const double> rest(values.const_data_ptr<double>(), static_cast<std::size_t>(values.numel()));
  for (const Sample& sample : samples) {
    const std::span<const double> own = rest.first(target_count(sample));
    rest = rest.subspan(own.size());
    if (!own.empty())
      tally.loss_error.add(std::accumulate(own.begin(), own.end(), 0.0), static_cast<double>(own.size()));
  }
}

// Hands out the questions of this rank's samples, and takes the answers and the losses together.
class Asking {
 public:
  Asking(const Lvlm& model, EvaluationSet& set, Collective& ranks, const AnswerOptions& options,
         GenerationOptions generation, const EvaluationProgress& progress)
      : model_(model),
        set_(set),
        options_(options),
        generation_(std::move(generation)),
        progress_(progress),
        next_item_(ranks.rank()),
        step_(ranks.size()),
        share_((set.size() - ranks.rank() + ranks.size() - 1) / ranks.size()) {
    if (progress_) progress_(0, share_);
  }

  std::optional<GenerationJob> next() {
    while (turns_.empty()) {
      if (next_item_ >= set_.size()) return std::nullopt;
      open_item();
    }
    EvaluationTurn turn = std::move(turns_.front());
    turns_.pop_front();
    items_of_.push_back(static_cast<std::size_t>(taken_) - 1);
    answers_.push_back({sample_, name_, std::move(turn.answer), {}});
    return GenerationJob{std::move(turn.prompt), generation_};
  }

  void answered(std::size_t job, const GenerationResult& answer) {
    HeldOutAnswer& kept = answers_[job];
    kept.text = trim(answer.text);
    kept.exact = kept.text == kept.reference;
    if (kept.exact) ++counts_[items_of_[job]].exact;
  }

  // When all are answered, each once.
  std::vector<HeldOutAnswer> answers() { return std::move(answers_); }
  Tally tally() {
    add_loss(tally_, model_, waiting_);
    for (const Counts& counts : counts_) {
      tally_.questions += counts.questions;
      tally_.exact += counts.exact;
      if (counts.questions == 0) continue;
      tally_.exact_error.add(static_cast<double>(counts.exact), static_cast<double>(counts.questions));
    }
    return tally_;
  }

 private:
  struct Counts {
    std::int64_t questions = 0, exact = 0;
  };

  void open_item() {
    EvaluationItem item = set_.item(next_item_);
    if (options_.max_tokens == 0) item.turns.clear();
    sample_ = next_item_;
    name_ = item.name;
    next_item_ += step_;
    ++taken_;
    counts_.push_back({static_cast<std::int64_t>(item.turns.size())});
    for (EvaluationTurn& turn : item.turns) turns_.push_back(std::move(turn));
    const std::int64_t tokens = stream_length(item.sample);
    if (waiting_tokens_ + tokens > options_.tokens_per_stream) {
      add_loss(tally_, model_, waiting_);
      waiting_.clear();
      waiting_tokens_ = 0;
    }
    waiting_tokens_ += tokens;
    waiting_.push_back(std::move(item.sample));
    if (progress_) progress_(taken_, share_);
  }

  const Lvlm& model_;
  EvaluationSet& set_;
  const AnswerOptions& options_;
  GenerationOptions generation_;
  const EvaluationProgress& progress_;
  std::int64_t next_item_, step_, share_;
  std::int64_t taken_ = 0;
  std::deque<EvaluationTurn> turns_;
  std::int64_t sample_ = 0;  // whose turns are next
  std::string name_;
  std::vector<std::size_t> items_of_;  // by job, as are the answers
  std::vector<HeldOutAnswer> answers_;
  std::vector<Counts> counts_;
  std::vector<Sample> waiting_;
  std::int64_t waiting_tokens_ = 0;
  Tally tally_;
};

}  // namespace

std::string held_out_lines(const std::vector<HeldOutAnswer>& answers) {
  std::string lines;
  for (const HeldOutAnswer& answer : answers) {
    if (!answer.record.empty()) {
      lines += answer.record;
      continue;
    }
    const nlohmann::ordered_json line = {{"sample", answer.sample},
                                         {"question_id", answer.name},
                                         {"reference", answer.reference},
                                         {"text", answer.text},
                                         {"exact", answer.exact}};
    lines += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  return lines;
}

void RatioError::add(double y, double n) {
  const std::array<double, 6> terms = {1, y, n, y * y, y * n, n * n};
  for (std::size_t i = 0; i < terms.size(); ++i) sums_[i] += terms[i];
}

double RatioError::value() const {
  const auto& [count, y, n, yy, yn, nn] = sums_;
  if (count < 2 || n == 0) return std::numeric_limits<double>::quiet_NaN();
  const double ratio = y / n;
  const double squares = std::max(0.0, yy - 2 * ratio * yn + ratio * ratio * nn);
  return std::sqrt(count / (count - 1) * squares) / n;
}

EvaluationMetrics evaluate_held_out(const Lvlm& model, const std::shared_ptr<const Tokenizer>& tokenizer,
                                    EvaluationSet& set, Collective& ranks, const AnswerOptions& options,
                                    const EvaluationProgress& progress) {
  const auto begin = std::chrono::steady_clock::now();
  Asking asking(model, set, ranks, options, greedy(model, *tokenizer, options), progress);
  Generator generator(model, tokenizer,
                      {.context = std::min(options.context, model.config().decoder.max_positions),
                       .sequences = options.answers_at_once});
  generator.run([&] { return asking.next(); },
                [&](std::size_t job, const GenerationResult& answer) { asking.answered(job, answer); });
  Tally tally = asking.tally();
  std::array<double, 4> sums = {tally.nll, static_cast<double>(tally.targets), static_cast<double>(tally.questions),
                                static_cast<double>(tally.exact)};
  ranks.sum(sums);
  ranks.sum(tally.loss_error.sums());
  ranks.sum(tally.exact_error.sums());
  EvaluationMetrics metrics;
  metrics.answers = asking.answers();
  metrics.targets = static_cast<std::int64_t>(sums[1]);
  metrics.loss = metrics.targets > 0 ? sums[0] / sums[1] : 0;
  metrics.questions = static_cast<std::int64_t>(sums[2]);
  metrics.exact = static_cast<std::int64_t>(sums[3]);
  metrics.loss_error = tally.loss_error.value();
  metrics.exact_error = tally.exact_error.value();
  metrics.seconds = seconds_since(begin);
  return metrics;
}

}  // namespace striate
