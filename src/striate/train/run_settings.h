// What a run is asked for: whether it makes sense, how long it is, and what a resumed run must have in common with it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/train/training_run.h"

namespace striate {

// "align", "tune", "pretrain".
std::string stage_name(Stage stage);
// "lora", "full".
std::string kind_name(TuneKind kind);

// Throws InvalidInput for a request that makes no sense whatever the model and the data.
void check_request(const TrainingRequest& request);

// Optimiser steps of the whole run; epochs are rounded up at the end of the last.
std::int64_t total_steps(const TrainingRequest& request, const StepSourceOptions& data, const StepSource& source);

// All that decides a run's numbers: a resumed run must have the same. Keys are flags where there is one, so that a
// difference is told in the user's own words. `teacher` is null where there is none.
nlohmann::json settings_of(const TrainingRequest& request, const TuneOptions& tune, const StepSourceOptions& data,
                           const Schedule& schedule, const Checkpoint& checkpoint, const Checkpoint* teacher);

}  // namespace striate
