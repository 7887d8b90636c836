// Generation: a prompt and its images in, tokens and text out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/infer/kv_cache.h"
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
  double prompt_seconds = 0.0;     // projector and decoder over the tokens that were not in the cache
  double decode_seconds = 0.0;     // all decoding steps after the first token
  std::int64_t decode_steps = 0;

  double prompt_tokens_per_s() const;  // 0 when nothing was measured
  double decode_tokens_per_s() const;
};

struct GenerationCallbacks {
  // New text as it becomes certain; return false to stop.
  std::function<bool(const std::string&)> on_text;
  // The logits every token was chosen from, [vocab] fp32: first the last prompt position's.
  std::function<void(const at::Tensor&)> on_logits;
};

// Generates with one model; keeps the cache between calls and reuses the common beginning of consecutive prompts.
class Generator {
 public:
  // Without a tokenizer (nullptr) answers have ids but no text, and stop strings never match.
  // `context` is how many tokens a prompt and its answer may have together; nullopt: as many as the model was made for.
  // Throws InvalidInput when it is more than that, ResourceError when their keys and values do not fit in memory.
  Generator(const Lvlm& model, std::shared_ptr<const Tokenizer> tokenizer,
            std::optional<std::int64_t> context = std::nullopt);

  // `prompt.input_ids` with kImageToken per image, `prompt.images` the vision features ([P, vision_hidden] each).
  // Throws InvalidInput when the prompt is empty, longer than the model's context, or images do not match.
  GenerationResult generate(const Sample& prompt, const GenerationOptions& options,
                            const GenerationCallbacks& callbacks = {});
  // Forgets the cache.
  void reset();

 private:
  at::Tensor prefill(const Sample& prompt, const ExpandedSample& expanded, GenerationResult& result);
  at::Tensor step(std::int64_t id);
  std::int64_t common_prefix(const Sample& prompt, const ExpandedSample& expanded) const;

  const Lvlm& model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  KvCache cache_;
  std::vector<std::int64_t> cached_ids_;   // expanded, as they lie in the cache
  std::vector<at::Tensor> cached_images_;  // the images among them
};

}  // namespace striate
