#include "striate/infer/generation_run.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/infer/sequence_pass.h"
#include "striate/tensor/upload.h"

namespace striate {
namespace {

using Clock = std::chrono::steady_clock;

// A prompt that shares this much more with one that is just being computed waits one pass for it.
constexpr std::int64_t kWorthWaiting = 16;
constexpr std::int64_t kAnswersPerKept = 4;  // so many answers under way for each sequence that is kept

bool holds(const std::vector<std::int64_t>& ids, std::int64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool takes_likeliest(const SamplingOptions& sampling) {
  return sampling.temperature == 0.0 && sampling.repetition_penalty == 1.0;
}

// The tokens that a pass computes, end to end.
struct StreamTokens {
  std::vector<std::int64_t> ids, positions, image_slots;
  std::vector<at::Tensor> image_rows;
  std::vector<NewTokens> parts;

  // Tokens of a prompt from place `from` on, with the rows of the images there.
  void add_prompt(CachedSequence& sequence, const PromptTokens& prompt, std::int64_t from) {
    const auto begin = static_cast<std::int64_t>(ids.size());
    const auto total = static_cast<std::int64_t>(prompt.ids.size());
    for (std::size_t i = 0; i < prompt.images.size(); ++i) {
      const std::int64_t rows = prompt.images[i].size(0);
      const std::int64_t skipped = std::clamp<std::int64_t>(from - prompt.image_begins[i], 0, rows);
      if (skipped == rows) continue;
      image_rows.push_back(prompt.images[i].slice(0, skipped));
      for (std::int64_t row = skipped; row < rows; ++row) {
        image_slots.push_back(begin + prompt.image_begins[i] + row - from);
      }
    }
    for (std::int64_t place = from; place < total; ++place) {
      add_token(prompt.ids[static_cast<std::size_t>(place)], place);
    }
    parts.push_back({&sequence.cache, total - from});
  }

  void add_token(std::int64_t id, std::int64_t position) {
    ids.push_back(id);
    positions.push_back(position);
  }

  // The residual stream after the last layer, [tokens, hidden]; the caches hold the new tokens afterwards.
  at::Tensor run(const Lvlm& model) {
    PackedBatch batch;
    batch.token_ids = at::tensor(ids, at::kLong);
    batch.positions = at::tensor(positions, at::kLong);
    if (!image_rows.empty()) {
      batch.image_features = at::cat(image_rows);
      batch.image_slots = at::tensor(image_slots, at::kLong);
    }
    SequencePass pass(parts, model.config().decoder.sliding_window);
    const at::Tensor stream = model.forward(batch, pass);
    pass.finish();
    return stream;
  }
};

}  // namespace

GenerationRun::GenerationRun(const Lvlm& model, std::shared_ptr<const Tokenizer> tokenizer,
                             const GenerationLimits& limits, std::int64_t context, PrefixStore& store)
    : model_(model), tokenizer_(std::move(tokenizer)), limits_(limits), context_(context), store_(store) {}

bool GenerationRun::advance(const Generator::NextJob& next, const Generator::JobDone& done) {
  admit(next);
  if (active_.empty()) return false;
  const auto begin = Clock::now();
  const LastPositions last = run_pass();
  take(last, seconds_since(begin));
  hand_over(done);
  return true;
}

std::unique_ptr<GenerationRun::Running> GenerationRun::prepared(GenerationJob job) {
  PromptTokens prompt = prompt_tokens(job.prompt);
  const auto total = static_cast<std::int64_t>(prompt.ids.size());
  if (total == 0) throw invalid_input("the prompt is empty", "give some text");
  std::int64_t longest = 1;
  for (const auto& ids : job.continuations) longest = std::max(longest, static_cast<std::int64_t>(ids.size()));
  if (total + longest - 1 > context_) {
    throw invalid_input(cat("the prompt has ", total, " tokens, but the context has only ", context_),
                        "shorten the prompt or give fewer images");
  }
  Sampler sampler(job.options.sampling);
  AnswerText text(tokenizer_, job.options.stop_strings, job.callbacks.on_text);
  auto answer = std::make_unique<Running>(
      Running{taken_++, std::move(job), std::move(prompt), std::move(sampler), std::move(text)});
  answer->seen = answer->prompt.ids;
  return answer;
}

// Prompts enter in their order while there is room: a place, keys and values, and tokens in the coming pass.
void GenerationRun::admit(const Generator::NextJob& next) {
  std::int64_t pass_tokens = 0;
  while (static_cast<std::int64_t>(active_.size()) < limits_.sequences) {
    if (!waiting_) {
      std::optional<GenerationJob> job = next();
      if (!job) return;
      waiting_ = prepared(std::move(*job));
    }
    std::int64_t shared = 0;
    std::shared_ptr<CachedSequence> source = store_.best(waiting_->prompt, shared);
    for (const auto& other : active_) {
      const PromptTokens& theirs = other->prompted ? other->sequence->tokens : other->prompt;
      const std::int64_t common = std::min(common_places(waiting_->prompt, theirs), other->sequence->cache.length());
      if (common <= shared) continue;
      shared = common;
      source = other->sequence;
    }
    // At least the last token is computed anew: its logits begin the answer.
    shared = std::min(shared, waiting_->total() - 1);
    const std::int64_t tokens = waiting_->total() - shared;
    if (pass_tokens > 0 && pass_tokens + tokens > limits_.tokens_per_pass) return;
    if (waits_for_neighbour(shared)) return;
    const std::int64_t answer = std::clamp<std::int64_t>(waiting_->job.options.max_tokens - 1, 0, context_);
    const std::int64_t capacity =
        waiting_->job.continuations.empty() ? std::min(context_, waiting_->total() + answer) : waiting_->total();
    const std::uint64_t bytes = KvCache::bytes_for(model_.config().decoder, model_.placement(), capacity);
    if (!make_room(bytes) && !active_.empty()) return;
    start(capacity, std::move(source), shared);
    pass_tokens += tokens;
  }
}

bool GenerationRun::waits_for_neighbour(std::int64_t shared) const {
  return std::any_of(active_.begin(), active_.end(), [&](const auto& other) {
    return !other->prompted && common_places(waiting_->prompt, other->prompt) > shared + kWorthWaiting;
  });
}

// Forgets kept sequences until so many bytes more fit.
bool GenerationRun::make_room(std::uint64_t bytes) {
  while (bytes_in_use() + bytes > limits_.cache_bytes) {
    if (!store_.drop_oldest()) return false;
  }
  return true;
}

void GenerationRun::start(std::int64_t capacity, std::shared_ptr<CachedSequence> source, std::int64_t shared) {
  Running& answer = *waiting_;
  answer.result.prompt_tokens = answer.total();
  answer.result.reused_tokens = shared;
  const bool in_use = source && std::any_of(active_.begin(), active_.end(),
                                            [&](const auto& other) { return other->sequence == source; });
  if (source && !in_use && source->cache.capacity() >= capacity) {
    store_.remove(source.get());
    source->cache.truncate(shared);
    answer.sequence = std::move(source);
  } else {
    answer.sequence = std::make_shared<CachedSequence>(
        CachedSequence{{}, KvCache(model_.config().decoder, model_.placement(), capacity)});
    if (source) answer.sequence->cache.copy_prefix(source->cache, shared);
  }
  active_.push_back(std::move(waiting_));
}

// One pass over the new tokens of every answer under way: the stream's rows of their last positions, [answers, hidden].
at::Tensor GenerationRun::last_rows() {
  const auto order = [](const std::unique_ptr<Running>& answer) {
    if (answer->prompted) return 0;
    if (answer->sequence->cache.length() == 0) return 3;
    return answer->new_tokens() == 1 ? 1 : 2;
  };
  std::stable_sort(active_.begin(), active_.end(), [&](const auto& a, const auto& b) { return order(a) < order(b); });
  StreamTokens tokens;
  std::vector<std::int64_t> places;
  for (const auto& answer : active_) {
    if (answer->prompted) {
      tokens.add_token(answer->seen.back(), answer->sequence->cache.length());
      tokens.parts.push_back({&answer->sequence->cache, 1});
    } else {
      tokens.add_prompt(*answer->sequence, answer->prompt, answer->sequence->cache.length());
    }
    places.push_back(static_cast<std::int64_t>(tokens.ids.size()) - 1);
  }
  const bool every_row = tokens.ids.size() == active_.size();
  const at::Tensor stream = tokens.run(model_);
  for (const auto& answer : active_) {
    if (answer->prompted) {
      answer->sequence->tokens.ids.push_back(answer->seen.back());
    } else {
      answer->sequence->tokens = answer->prompt;
    }
  }
  if (every_row) return stream;
  return stream.index_select(0, uploaded(at::tensor(places, at::kLong), stream.device()));
}

// A row of logits is 128 KB for 32,000 tokens, and comes from a device only where it is read.
GenerationRun::LastPositions GenerationRun::run_pass() {
  const at::Tensor logits = model_.logits(last_rows());
  LastPositions last;
  const bool reads_logits = std::any_of(active_.begin(), active_.end(), [](const auto& answer) {
    const GenerationJob& job = answer->job;
    return !job.continuations.empty() || job.callbacks.on_logits || !takes_likeliest(job.options.sampling);
  });
  last.likeliest = at::argmax(logits, 1).cpu().contiguous();
  if (reads_logits) last.logits = logits.cpu();
  return last;
}

void GenerationRun::take(const LastPositions& last, double pass_seconds) {
  const auto* greedy = last.likeliest.const_data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < active_.size(); ++i) {
    Running& answer = *active_[i];
    if (answer.prompted) {
      ++answer.result.decode_steps;
    } else {
      answer.prompted = true;
      answer.result.prompt_seconds = pass_seconds;
      answer.answering = Clock::now();
    }
    const at::Tensor row = last.logits.defined() ? last.logits.select(0, static_cast<std::int64_t>(i)) : last.logits;
    if (answer.job.continuations.empty()) {
      choose(answer, row, greedy[i]);
    } else {
      score(answer, row);
    }
  }
}

void GenerationRun::choose(Running& answer, const at::Tensor& logits, std::int64_t greedy) {
  const GenerationOptions& options = answer.job.options;
  GenerationResult& result = answer.result;
  const auto made = static_cast<std::int64_t>(result.ids.size());
  if (made >= options.max_tokens) return end(answer);
  if (answer.job.callbacks.on_logits) answer.job.callbacks.on_logits(logits);
  const std::int64_t id = takes_likeliest(options.sampling) ? greedy : answer.sampler.choose(logits, answer.seen, made);
  result.ids.push_back(id);
  answer.seen.push_back(id);
  if (holds(options.eos_ids, id)) {
    result.stop = StopReason::kEos;
    return end(answer);
  }
  if (!answer.text.push(id)) {
    result.stop = StopReason::kInterrupted;
    return end(answer);
  }
  if (answer.text.stopped() || made + 1 == options.max_tokens) return end(answer);
  if (answer.sequence->cache.length() == context_) {
    result.stop = StopReason::kContext;
    end(answer);
  }
}

void GenerationRun::end(Running& answer) {
  answer.ended = true;
  answer.text.finish();
  if (answer.text.stopped()) answer.result.stop = StopReason::kStopString;
  answer.result.text = answer.text.text();
  answer.result.decode_seconds = seconds_since(answer.answering);
}

void GenerationRun::score(Running& answer, const at::Tensor& logits) {
  const at::Tensor log_probs = at::log_softmax(logits, 0);
  const float* of_token = log_probs.const_data_ptr<float>();
  bool longer = false;
  for (const std::vector<std::int64_t>& ids : answer.job.continuations) {
    if (!ids.empty() && (ids[0] < 0 || ids[0] >= log_probs.numel())) {
      throw invalid_input(cat("token id ", ids[0], " is not in the vocabulary"), "use the model's own tokenizer");
    }
    answer.result.log_probabilities.push_back(ids.empty() ? 0.0 : of_token[ids[0]]);
    longer = longer || ids.size() > 1;
  }
  if (longer) score_rest(answer);
  end(answer);
}

// The tokens after the first of every longer continuation, all in one pass, each behind a copy of the prompt.
void GenerationRun::score_rest(Running& answer) {
  const KvCache& prompt = answer.sequence->cache;
  StreamTokens tokens;
  std::vector<std::unique_ptr<KvCache>> caches;
  std::vector<std::int64_t> targets;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < answer.job.continuations.size(); ++i) {
    const std::vector<std::int64_t>& ids = answer.job.continuations[i];
    if (ids.size() < 2) continue;
    const auto count = static_cast<std::int64_t>(ids.size()) - 1;
    caches.push_back(std::make_unique<KvCache>(model_.config().decoder, model_.placement(), prompt.length() + count));
    caches.back()->copy_prefix(prompt, prompt.length());
    tokens.parts.push_back({caches.back().get(), count});
    for (std::int64_t k = 0; k < count; ++k) {
      tokens.add_token(ids[static_cast<std::size_t>(k)], prompt.length() + k);
      targets.push_back(ids[static_cast<std::size_t>(k) + 1]);
      owners.push_back(i);
    }
  }
  const at::Tensor stream = tokens.run(model_);
  const at::Tensor log_probs = at::log_softmax(model_.logits(stream), 1);
  const at::Tensor wanted = at::tensor(targets, at::kLong).to(log_probs.device()).unsqueeze(1);
  const at::Tensor found = log_probs.gather(1, wanted).cpu().contiguous();
  for (std::size_t row = 0; row < owners.size(); ++row) {
    answer.result.log_probabilities[owners[row]] += found.const_data_ptr<float>()[row];
  }
}

void GenerationRun::hand_over(const Generator::JobDone& done) {
  for (auto& answer : active_) {
    if (!answer->ended) continue;
    store_.keep(answer->sequence);
    while (static_cast<std::int64_t>(store_.size()) > most_kept()) store_.drop_oldest();
    done(answer->number, std::move(answer->result));
  }
  std::erase_if(active_, [](const auto& answer) { return answer->ended; });
}

// Prompts that begin alike come one after another: most find their beginning in an answer under way. What is kept
// beside these is for what comes when they have all ended.
std::int64_t GenerationRun::most_kept() const {
  return (limits_.sequences + kAnswersPerKept - 1) / kAnswersPerKept;
}

std::uint64_t GenerationRun::bytes_in_use() const {
  std::uint64_t sum = store_.bytes();
  for (const auto& answer : active_) sum += answer->sequence->cache.bytes();
  return sum;
}

}  // namespace striate
