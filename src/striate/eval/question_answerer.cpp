#include "striate/eval/question_answerer.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/picture_settings.h"

namespace striate {
namespace {

constexpr std::int64_t kPassTokensOnCpu = 2048, kPassTokensOnGpu = 8192;

// What a pass over so many tokens and logits takes at once, about: the stream, the MLP's two inner products, attention,
// and two copies of the logits.
std::uint64_t pass_bytes(const DecoderConfig& config, const Placement& placement, std::int64_t tokens,
                         std::int64_t sequences) {
  const std::int64_t row = 6 * config.hidden_size + 3 * config.mlp_size;
  const auto element = static_cast<std::int64_t>(at::elementSize(compute_dtype(placement.compute)));
  return static_cast<std::uint64_t>(tokens * row * element + 8 * sequences * config.vocab_size);
}

GenerationLimits limits_of(const AnswererSettings& settings, const DecoderConfig& config, std::int64_t context) {
  GenerationLimits limits;
  limits.context = context;
  limits.sequences = settings.sequences;
  limits.tokens_per_pass = settings.placement.device.is_cpu() ? kPassTokensOnCpu : kPassTokensOnGpu;
  const std::uint64_t pass = pass_bytes(config, settings.placement, limits.tokens_per_pass, limits.sequences);
  limits.cache_bytes = settings.memory_budget > pass ? settings.memory_budget - pass : 0;
  return limits;
}

std::int64_t context_of(const AnswererSettings& settings, const DecoderConfig& decoder) {
  const std::int64_t most = decoder.max_positions;
  if (settings.context && (*settings.context < 1 || *settings.context > most)) {
    throw invalid_input(cat("a context of ", *settings.context, " tokens exceeds the model's ", most),
                        cat("give `context` 1 to ", most));
  }
  return settings.context.value_or(most);
}

}  // namespace

QuestionAnswerer::QuestionAnswerer(const AnswererSettings& settings, Notes notes)
    : settings_(settings),
      notes_(std::move(notes)),
      checkpoint_(open_checkpoint(settings.model)),
      tokenizer_(load_tokenizer(settings.tokenizer.value_or(checkpoint_.folder))),
      conversation_(settings.conversation.value_or(default_template(checkpoint_.config.family))),
      context_(context_of(settings, checkpoint_.config.decoder)) {}

PreprocessConfig QuestionAnswerer::pixels() const {
  return preprocess_config(checkpoint_.config, checkpoint_.folder);
}

// With the template and the context of this answerer.
PromptSettings QuestionAnswerer::completed(PromptSettings settings) const {
  settings.conversation = conversation_;
  settings.context = context_;
  return settings;
}

QuestionPrompts QuestionAnswerer::prompts(const QuestionBatch& batch, PromptSettings settings) const {
  return QuestionPrompts(*batch.protocol, *batch.set, checkpoint_.config, *tokenizer_, completed(settings));
}

const Lvlm& QuestionAnswerer::model() {
  if (!model_) {
    model_ = load_model(checkpoint_, settings_.placement);
    generator_ =
        std::make_unique<Generator>(*model_, tokenizer_, limits_of(settings_, checkpoint_.config.decoder, context_));
  }
  return *model_;
}

AnsweringFigures QuestionAnswerer::ask(QuestionBatch batch, const PromptSettings& settings, QuestionSink sink,
                                       const StopFlag* stop) {
  const Lvlm& loaded = model();
  const AskedModel asked{loaded,
                         *generator_,
                         *tokenizer_,
                         completed(settings),
                         checkpoint_.config.vision ? std::optional(pixels()) : std::nullopt,
                         {0, settings_.feature_cache_folder, notes_},
                         settings_.data_threads};
  return ask_questions(asked, std::move(batch), std::move(sink), stop);
}

}  // namespace striate
