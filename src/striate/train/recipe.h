// What a run does where nothing else is asked for: the paper's recipe for tuning (arXiv 2412.12785), LLaVA's for
// aligning.
#pragma once

#include <cstdint>

#include "striate/train/optimizer.h"
#include "striate/train/tunable.h"

namespace striate {

// Learning rates of a stage; 0 for the decoder where adapters are trained in its place.
GroupRates recipe_rates(Stage stage, TuneKind kind);

// Samples of a step, over all ranks.
std::int64_t recipe_batch(Stage stage);

}  // namespace striate
