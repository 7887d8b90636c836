#include "striate/study/cell_settings.h"

#include <cctype>

namespace striate::study {
namespace {

template <typename Value>
void put(nlohmann::json& settings, const char* key, const std::optional<Value>& value) {
  if (value) settings[key] = *value;
}

}  // namespace

nlohmann::json settings_json(const WorldDefinition& world) {
  return {{"train", world.train},
          {"held_out", world.held_out},
          {"test", world.test},
          {"text", world.text},
          {"questions", world.questions},
          {"held_out_questions", world.held_out_questions},
          {"seed", world.seed},
          {"families", world.families},
          {"text_families", world.text_families},
          {"text_family_share", world.text_family_share},
          {"grid", world.grid},
          {"max_objects", world.max_objects},
          {"labels", world.label_share},
          {"large_only", world.large_only},
          {"digit_labels", world.digit_labels}};
}

nlohmann::json settings_json(const Recipe& recipe) {
  nlohmann::json settings = {{"schedule", recipe.schedule}, {"template", recipe.conversation}};
  put(settings, "epochs", recipe.epochs);
  put(settings, "steps", recipe.steps);
  put(settings, "batch", recipe.batch);
  put(settings, "tokens_per_step", recipe.tokens_per_step);
  put(settings, "learning_rate", recipe.learning_rate);
  put(settings, "projector_rate", recipe.projector_rate);
  put(settings, "warmup_ratio", recipe.warmup_ratio);
  put(settings, "weight_decay", recipe.weight_decay);
  put(settings, "beta2", recipe.beta2);
  put(settings, "max_gradient_norm", recipe.max_gradient_norm);
  put(settings, "lora_rank", recipe.lora_rank);
  put(settings, "lora_alpha", recipe.lora_alpha);
  put(settings, "lora_dropout", recipe.lora_dropout);
  put(settings, "tokens_per_stream", recipe.tokens_per_stream);
  put(settings, "max_tokens", recipe.max_tokens);
  return settings;
}

nlohmann::json settings_json(const Tuning& tuning, const std::string& size) {
  return {{"strategy", tuning.strategy}, {"size", size},        {"modules", tuning.modules},
          {"offset", tuning.offset},     {"draw", tuning.draw}, {"data_fraction", tuning.data_fraction},
          {"seed", tuning.seed}};
}

std::string name_part(const std::string& text) {
  std::string part;
  for (const char c : text) {
    if (c == '%') {
      part += "pct";
    } else {
      part += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ? c : '-';
    }
  }
  return part.substr(0, 60);
}

}  // namespace striate::study
