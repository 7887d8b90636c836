// What every measurement asks of the model that it measures: its name, its region, and data in the form that it reads.
#pragma once

#include <optional>
#include <string>

#include "striate/eval/evaluation_set.h"
#include "striate/model/layer_set.h"
#include "striate/model/load.h"

namespace striate {

// "llava-1.5-7b-hf with tuned": the folder's name, and the adapter's.
std::string measured_name(const Checkpoint& model);

// The region that a setting names: a layer set (region/layer_grammar.h); "from-run", what is recorded for the adapter
// or the model (nullopt where nothing is); or "none", a set without layers. Throws InvalidInput.
std::optional<LayerSet> region_of_setting(const std::string& setting, const Checkpoint& model);

// `data` with the model's own conversation template and picture settings.
EvaluationOptions data_for_model(const EvaluationData& data, const Checkpoint& model);

}  // namespace striate
