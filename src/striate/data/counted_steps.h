// Steps of tokens, counted: what a run and a plan of one know of their number.
#pragma once

#include <cstdint>

#include "striate/base/notes.h"
#include "striate/data/step_source.h"
#include "striate/model/config.h"
#include "striate/text/tokenizer.h"

namespace striate {

// Throws InvalidInput where a step of `tokens_per_step` tokens might not hold a sample.
void check_tokens_per_step(const TrainingData& data);

// Says that the tokens of so many samples are counted, where they are so many that a user would wonder what takes long.
void tell_of_counting(std::int64_t samples, const Notes& notes);

// As PlannedSteps::steps_of() with `tokens_per_step`, for data that is not trained on now: every text is read, and no
// picture. Throws what check_tokens_per_step() and Dataset throw.
std::int64_t counted_steps(const ModelConfig& config, const Tokenizer& tokenizer, const StepSourceOptions& options,
                           double epochs);

}  // namespace striate
