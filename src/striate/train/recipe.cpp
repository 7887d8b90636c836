#include "striate/train/recipe.h"

namespace striate {

GroupRates recipe_rates(Stage stage, TuneKind kind) {
  GroupRates rates;
  rates.adapter = 2e-4;
  rates.decoder = stage == Stage::kPretrain ? 1e-3 : 2e-5;
  if (stage == Stage::kTune && kind == TuneKind::kLora) rates.decoder = 0;
  rates.projector = stage == Stage::kTune ? 2e-5 : 1e-3;
  rates.vision_tower = 2e-6;
  return rates;
}

std::int64_t recipe_batch(Stage stage) {
  return stage == Stage::kAlign ? 256 : 128;
}

}  // namespace striate
