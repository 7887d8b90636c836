// The state of a run except its tensors, as a checkpoint stores it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/data/step_source.h"

namespace striate {

struct RunState {
  std::int64_t step = 0;           // optimiser steps taken, skipped ones included
  std::int64_t updates = 0;        // of these, those that changed the parameters
  std::int64_t skipped_steps = 0;  // those that did not: their loss or gradient was not finite
  std::int64_t samples = 0;        // trained on, all ranks
  std::int64_t tokens = 0;
  std::int64_t targets = 0;
  DataPosition data;
  // The run was asked to stop in a step after which it was to evaluate: it does so first when it goes on.
  bool owes_evaluation = false;
  // The settings a run has from its first to its last step, by flag name without dashes: {"lora-r": 128, ...}.
  nlohmann::json settings = nlohmann::json::object();
};

nlohmann::json to_json(const RunState& state);
// Throws CorruptData, naming `where`, for what to_json did not write.
RunState parse_run_state(const nlohmann::json& json, const std::string& where);

// Throws InvalidInput when settings differ, naming the first setting that does and both values: a run is resumed with
// the settings it was begun with, or not at all. What early versions did not record is not compared with their runs,
// and what is now given in steps (the warm-up, the length of the run) is compared in steps alone.
void check_same_settings(const nlohmann::json& saved, const nlohmann::json& wanted, const std::string& where);

}  // namespace striate
