// The settings of a run: whether they are valid, how long the run is, and which of them a resumed run must share.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/ranks/collective.h"
#include "striate/train/prepared_run.h"
#include "striate/train/training_request.h"

namespace striate {

// "align", "tune", "pretrain".
std::string stage_name(Stage stage);
// "lora", "full".
std::string kind_name(TuneKind kind);

// Throws InvalidInput for a request that makes no sense whatever the model and the data.
void check_request(const TrainingRequest& request);

// Optimiser steps of the whole run; epochs are rounded up at the end of the last, so that every sample of them is in a
// step (PlannedSteps::steps_of). Every rank calls it.
std::int64_t total_steps(const TrainingRequest& request, PreparedRun& run, Collective& ranks, const Notes& notes);

// All that decides a run's numbers: a resumed run must have the same. Keys are flags where there is one, so that a
// difference is told in the user's own words. Of `run` it reads all but the settings and the plan.
nlohmann::json settings_of(const TrainingRequest& request, const PreparedRun& run);

}  // namespace striate
