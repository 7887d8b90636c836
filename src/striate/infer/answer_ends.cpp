#include "striate/infer/answer_ends.h"

namespace striate {

void end_as_conversation(GenerationOptions& options, const ModelConfig& config, const Tokenizer& tokenizer,
                         TemplateKind conversation) {
  const std::string stop = stop_string(conversation);
  options.stop_strings.push_back(stop);
  for (const std::int64_t id : answer_end_ids(config)) options.eos_ids.push_back(id);
  if (const auto id = tokenizer.token_to_id(stop)) options.eos_ids.push_back(*id);
  if (const auto id = tokenizer.eos_id()) options.eos_ids.push_back(*id);
}

void end_as_text(GenerationOptions& options, const ModelConfig& config) {
  for (const std::int64_t id : config.generation_eos_ids.value_or(config.decoder.eos_ids))
    options.eos_ids.push_back(id);
}

}  // namespace striate
