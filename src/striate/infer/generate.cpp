#include "striate/infer/generate.h"

#include <ATen/core/grad_mode.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/infer/generation_run.h"

namespace striate {
namespace {

std::int64_t checked_context(const DecoderConfig& config, std::optional<std::int64_t> context) {
  if (!context) return config.max_positions;
  if (*context < 1 || *context > config.max_positions) {
    throw invalid_input(cat("a context of ", *context, " tokens exceeds the model's ", config.max_positions),
                        cat("give `context` 1 to ", config.max_positions));
  }
  return *context;
}

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

Generator::Generator(const Lvlm& model, std::shared_ptr<const Tokenizer> tokenizer, const GenerationLimits& limits)
    : model_(model),
      tokenizer_(std::move(tokenizer)),
      limits_(limits),
      context_(checked_context(model.config().decoder, limits.context)) {}

void Generator::reset() {
  store_.clear();
}

GenerationResult Generator::generate(const Sample& prompt, const GenerationOptions& options,
                                     const GenerationCallbacks& callbacks) {
  bool asked = false;
  GenerationResult answer;
  const auto next = [&]() -> std::optional<GenerationJob> {
    if (asked) return std::nullopt;
    asked = true;
    return GenerationJob{prompt, options, callbacks};
  };
  run(next, [&](std::size_t /*job*/, GenerationResult result) { answer = std::move(result); });
  return answer;
}

void Generator::run(const NextJob& next, const JobDone& done) {
  const at::NoGradGuard no_grad;
  GenerationRun run(model_, tokenizer_, limits_, context_, store_);
  while (run.advance(next, done)) {
  }
}

}  // namespace striate
