#include "striate/train/evaluation.h"

#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <chrono>

#include "striate/base/strings.h"
#include "striate/infer/generate.h"

namespace striate {
namespace {

GenerationOptions greedy(const Lvlm& model, const Tokenizer& tokenizer, const AnswerOptions& options) {
  GenerationOptions generation;
  generation.sampling.temperature = 0;
  generation.max_tokens = options.max_tokens;
  const std::string stop = stop_string(options.conversation);
  generation.stop_strings = {stop};
  generation.eos_ids = model.config().decoder.eos_ids;
  if (const auto id = tokenizer.token_to_id(stop)) generation.eos_ids.push_back(*id);
  if (const auto id = tokenizer.eos_id()) generation.eos_ids.push_back(*id);
  return generation;
}

// Positions an item takes in a stream.
std::int64_t length_of(const Sample& sample) {
  std::int64_t length = static_cast<std::int64_t>(sample.input_ids.size());
  for (const at::Tensor& image : sample.images) length += image.size(0) - 1;
  return length;
}

// What is summed over samples and ranks.
struct Tally {
  double nll = 0;
  std::int64_t targets = 0;
  std::int64_t questions = 0;
  std::int64_t exact = 0;
};

void add_loss(Tally& tally, const Lvlm& model, const std::vector<Sample>& samples) {
  if (samples.empty()) return;
  const PackedBatch batch = pack(samples);
  const at::Tensor nll = model.target_nll(model.forward(batch), batch);
  tally.nll += nll.sum(at::kDouble).item<double>();
  tally.targets += nll.numel();
}

}  // namespace

EvaluationMetrics evaluate_held_out(const Lvlm& model, const std::shared_ptr<const Tokenizer>& tokenizer,
                                    EvaluationSet& set, Collective& ranks, const AnswerOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  Generator generator(model, tokenizer, std::min(options.context, model.config().decoder.max_positions));
  const GenerationOptions generation = greedy(model, *tokenizer, options);
  Tally tally;
  std::vector<Sample> waiting;
  std::int64_t waiting_tokens = 0;
  for (std::int64_t i = ranks.rank(); i < set.size(); i += ranks.size()) {
    EvaluationItem item = set.item(i);
    for (const EvaluationTurn& turn : item.turns) {
      const GenerationResult answer = generator.generate(turn.prompt, generation);
      ++tally.questions;
      if (trim(answer.text) == turn.answer) ++tally.exact;
    }
    const std::int64_t tokens = length_of(item.sample);
    if (waiting_tokens + tokens > options.tokens_per_stream) {
      add_loss(tally, model, waiting);
      waiting.clear();
      waiting_tokens = 0;
    }
    waiting_tokens += tokens;
    waiting.push_back(std::move(item.sample));
  }
  add_loss(tally, model, waiting);
  const at::Tensor sums = at::tensor({tally.nll, static_cast<double>(tally.targets),
                                      static_cast<double>(tally.questions), static_cast<double>(tally.exact)},
                                     at::TensorOptions(at::kDouble));
  ranks.sum(sums);
  EvaluationMetrics metrics;
  metrics.targets = static_cast<std::int64_t>(sums[1].item<double>());
  metrics.loss = metrics.targets > 0 ? sums[0].item<double>() / sums[1].item<double>() : 0;
  metrics.questions = static_cast<std::int64_t>(sums[2].item<double>());
  metrics.exact = static_cast<std::int64_t>(sums[3].item<double>());
  metrics.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return metrics;
}

}  // namespace striate
