// Generation: prompts and their images in, tokens and text out, many at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/infer/prefix_store.h"
#include "striate/infer/sampler.h"
#include "striate/model/lvlm.h"
#include "striate/text/tokenizer.h"

namespace striate {

struct GenerationOptions {
  SamplingOptions sampling;
  std::int64_t max_tokens = 512;
  std::vector<std::string> stop_strings;  // the answer ends before the first of them
  std::vector<std::int64_t> eos_ids;      // the answer ends with any of them
};

enum class StopReason { kEos, kStopString, kMaxTokens, kContext, kInterrupted };
std::string stop_reason_name(StopReason reason);

struct GenerationResult {
  std::vector<std::int64_t> ids;  // the answer's tokens, the end token included where there was one
  std::string text;               // decoded without special tokens, cut before a stop string
  StopReason stop = StopReason::kMaxTokens;
  std::int64_t prompt_tokens = 0;  // expanded: an image counts its rows
  std::int64_t reused_tokens = 0;  // of these, found in the cache
  double prompt_seconds = 0.0;     // the pass over the tokens that were not in the cache, shared with other answers
  double decode_seconds = 0.0;     // from there to the end of the answer, shared with other answers
  std::int64_t decode_steps = 0;
  std::vector<double> log_probabilities;  // of each continuation, in nats; empty where none was asked for

  double prompt_tokens_per_s() const;  // 0 when nothing was measured
  double decode_tokens_per_s() const;
};

struct GenerationCallbacks {
  // New text as it becomes certain; return false to stop.
  std::function<bool(const std::string&)> on_text;
  // The logits every token was chosen from, [vocab] fp32: first the last prompt position's.
  std::function<void(const at::Tensor&)> on_logits;
};

// One prompt. `prompt.input_ids` with kImageToken per image, `prompt.images` the vision features ([P, vision_hidden]
// each). The same picture in several prompts should be the same tensor: its keys and values are then computed once.
struct GenerationJob {
  Sample prompt;
  GenerationOptions options;
  GenerationCallbacks callbacks = {};
  // Where there are any: nothing is generated, but the log-probability of each of these after the prompt is computed.
  std::vector<std::vector<std::int64_t>> continuations = {};
};

struct GenerationLimits {
  // How many tokens a prompt and its answer may have together; nullopt: as many as the model was made for.
  std::optional<std::int64_t> context = std::nullopt;
  std::int64_t sequences = 1;           // answers under way at a time
  std::int64_t tokens_per_pass = 4096;  // prompts are computed together up to about so many tokens
  // For keys and values, those kept for later prompts included. One answer may exceed it where none other is under way.
  std::uint64_t cache_bytes = std::numeric_limits<std::uint64_t>::max();
};

// Generates with one model by continuous batching: all answers under way advance by one token a pass, a finished one
// makes room for the next prompt at once, and what prompts share from the beginning on is computed once. Greedy answers
// do not depend on what else is under way, but for the rounding of sums. Model and tokenizer must outlive it.
class Generator {
 public:
  // The next prompt; nullopt: there is none.
  using NextJob = std::function<std::optional<GenerationJob>()>;
  // Hears each result with the number of its job, counted from 0 in the order of NextJob. Answers come as they end.
  using JobDone = std::function<void(std::size_t job, GenerationResult result)>;

  // Without a tokenizer (nullptr) answers have ids but no text, and stop strings never match.
  // Throws InvalidInput for a context below 1 or beyond the model's.
  Generator(const Lvlm& model, std::shared_ptr<const Tokenizer> tokenizer, const GenerationLimits& limits = {});

  // One answer.
  // Throws InvalidInput when the prompt is empty, longer than the context, or images do not match; ResourceError when
  // its keys and values do not fit in memory.
  GenerationResult generate(const Sample& prompt, const GenerationOptions& options,
                            const GenerationCallbacks& callbacks = {});
  // As many as `next` has. Throws what generate() throws, and what the callbacks throw; answers under way are then
  // lost.
  void run(const NextJob& next, const JobDone& done);
  // Forgets the keys and values of earlier prompts.
  void reset();

  std::int64_t context() const { return context_; }

 private:
  const Lvlm& model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  GenerationLimits limits_;
  std::int64_t context_;
  PrefixStore store_;
};

}  // namespace striate
