#include "striate/infer/generate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <chrono>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/infer/stop_strings.h"
#include "striate/text/conversation.h"

namespace striate {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool contains(const std::vector<std::int64_t>& ids, std::int64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

std::int64_t checked_context(const DecoderConfig& config, std::optional<std::int64_t> context) {
  if (!context) return config.max_positions;
  if (*context < 1 || *context > config.max_positions) {
    throw invalid_input(cat("a context of ", *context, " tokens: the model was made for ", config.max_positions),
                        cat("give --context 1 to ", config.max_positions));
  }
  return *context;
}

// Turns ids into text as they come, holding back what may be the beginning of a stop string.
class AnswerText {
 public:
  AnswerText(std::shared_ptr<const Tokenizer> tokenizer, const std::vector<std::string>& stops,
             const GenerationCallbacks& callbacks)
      : stops_(stops), callbacks_(callbacks) {
    if (!tokenizer) return;
    known_ids_ = tokenizer->vocab_size();
    decoder_.emplace(std::move(tokenizer));
  }

  // False when the caller wants to stop.
  // Models pad their vocabulary beyond the tokenizer's: such an id, should it be drawn, stands for no text.
  bool push(std::int64_t id) { return id >= known_ids_ || emit(stops_.push(decoder_->push(id))); }
  bool finish() { return !decoder_ || (emit(stops_.push(decoder_->finish())) && emit(stops_.finish())); }
  bool stopped() const { return stops_.stopped(); }
  const std::string& text() const { return text_; }

 private:
  bool emit(const std::string& piece) {
    text_ += piece;
    return piece.empty() || !callbacks_.on_text || callbacks_.on_text(piece);
  }

  std::optional<StreamDecoder> decoder_;
  std::int64_t known_ids_ = 0;  // none without a tokenizer
  StopStrings stops_;
  const GenerationCallbacks& callbacks_;
  std::string text_;
};

}  // namespace

std::string stop_reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::kEos:
      return "eos";
    case StopReason::kStopString:
      return "stop_string";
    case StopReason::kMaxTokens:
      return "max_tokens";
    case StopReason::kContext:
      return "context";
    case StopReason::kInterrupted:
      return "interrupted";
  }
  throw internal_error("unknown stop reason");
}

double GenerationResult::prompt_tokens_per_s() const {
  return prompt_seconds > 0.0 ? static_cast<double>(prompt_tokens - reused_tokens) / prompt_seconds : 0.0;
}

double GenerationResult::decode_tokens_per_s() const {
  return decode_seconds > 0.0 ? static_cast<double>(decode_steps) / decode_seconds : 0.0;
}

Generator::Generator(const Lvlm& model, std::shared_ptr<const Tokenizer> tokenizer, std::optional<std::int64_t> context)
    : model_(model),
      tokenizer_(std::move(tokenizer)),
      cache_(model.config().decoder, model.placement(), checked_context(model.config().decoder, context)) {}

void Generator::reset() {
  cache_.truncate(0);
  cached_ids_.clear();
  cached_images_.clear();
}

std::int64_t Generator::common_prefix(const Sample& prompt, const ExpandedSample& expanded) const {
  const auto [mine, theirs] =
      std::mismatch(cached_ids_.begin(), cached_ids_.end(), expanded.token_ids.begin(), expanded.token_ids.end());
  auto length = static_cast<std::int64_t>(mine - cached_ids_.begin());
  // Images look alike as ids: the cache ends before the first that is another one.
  std::int64_t image_begin = 0;
  std::size_t image = 0;
  for (const std::int64_t id : prompt.input_ids) {
    if (id != kImageToken) {
      ++image_begin;
      continue;
    }
    const bool same = image < cached_images_.size() && cached_images_[image].is_same(prompt.images[image]);
    if (!same) return std::min(length, image_begin);
    image_begin += prompt.images[image++].size(0);
  }
  return length;
}

at::Tensor Generator::prefill(const Sample& prompt, const ExpandedSample& expanded, GenerationResult& result) {
  const auto total = static_cast<std::int64_t>(expanded.token_ids.size());
  // At least the last token is computed anew: its logits begin the answer.
  const std::int64_t reused = std::min(common_prefix(prompt, expanded), total - 1);
  cache_.truncate(reused);
  const PackedBatch batch = pack(std::span(&prompt, 1));
  const at::Tensor embedded = model_.embed(batch).slice(0, reused);
  const at::Tensor stream = model_.decoder().forward(embedded, batch.positions.slice(0, reused), cache_);
  cache_.advance(total - reused);
  cached_ids_ = expanded.token_ids;
  cached_images_ = prompt.images;
  result.prompt_tokens = total;
  result.reused_tokens = reused;
  return model_.logits(stream.slice(0, -1)).squeeze(0).cpu();
}

at::Tensor Generator::step(std::int64_t id) {
  const at::Tensor token = at::full({1}, id, at::kLong);
  const at::Tensor position = at::full({1}, cache_.length(), at::kLong);
  const at::Tensor stream = model_.decoder().forward(model_.decoder().embed(token), position, cache_);
  cache_.advance(1);
  cached_ids_.push_back(id);
  return model_.logits(stream).squeeze(0).cpu();
}

GenerationResult Generator::generate(const Sample& prompt, const GenerationOptions& options,
                                     const GenerationCallbacks& callbacks) {
  const at::NoGradGuard no_grad;
  const Sampler sampler(options.sampling);
  const ExpandedSample expanded = expand_images(prompt);
  const auto total = static_cast<std::int64_t>(expanded.token_ids.size());
  if (total == 0) throw invalid_input("the prompt is empty", "give some text");
  if (total > cache_.capacity()) {
    throw invalid_input(cat("the prompt has ", total, " tokens, the context ", cache_.capacity()),
                        "shorten the prompt or give fewer images");
  }
  GenerationResult result;
  auto start = std::chrono::steady_clock::now();
  at::Tensor logits = prefill(prompt, expanded, result);
  result.prompt_seconds = seconds_since(start);
  start = std::chrono::steady_clock::now();

  AnswerText answer(tokenizer_, options.stop_strings, callbacks);
  std::vector<std::int64_t> seen = expanded.token_ids;
  for (std::int64_t i = 0; i < options.max_tokens; ++i) {
    if (callbacks.on_logits) callbacks.on_logits(logits);
    const std::int64_t id = sampler.choose(logits, seen, i);
    result.ids.push_back(id);
    seen.push_back(id);
    if (contains(options.eos_ids, id)) {
      result.stop = StopReason::kEos;
      break;
    }
    if (!answer.push(id)) {
      result.stop = StopReason::kInterrupted;
      break;
    }
    if (answer.stopped()) break;
    if (i + 1 == options.max_tokens) break;
    if (cache_.length() == cache_.capacity()) {
      result.stop = StopReason::kContext;
      break;
    }
    logits = step(id);
    ++result.decode_steps;
  }
  result.decode_seconds = seconds_since(start);
  answer.finish();
  if (answer.stopped()) result.stop = StopReason::kStopString;
  result.text = answer.text();
  return result;
}

}  // namespace striate
