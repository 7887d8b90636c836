// striate.json: what was done to a model, and to those it comes from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/region/model_change.h"

namespace striate {

// What striate.json of `folder` says, for the history of what is made from it; null without one.
nlohmann::json earlier_history(const std::filesystem::path& folder);

// The region as run.json and striate.json record it: the spec as given, and the layers, 0-based.
nlohmann::json region_json(const std::string& spec, const std::vector<std::int64_t>& layers, std::int64_t total);

// How a model's layers were numbered before any was removed.
struct LayerOrigin {
  std::int64_t depth;                  // of the model it began as
  std::vector<std::int64_t> original;  // [layers] the number there, ascending
};

// From the newest "layers" in a history and those below it ("base_history"); a model that was never pruned is its own
// origin. Throws CorruptData when the history is of a model with another number of layers.
LayerOrigin layer_origin(const nlohmann::json& history, std::int64_t layers, const std::string& where);

// The beginning of a new striate.json: who made it (with `version`), from which folder, the adapter that was merged
// with its own history, what striate.json of the source says, and, once layers have been removed,
//   "layers": {"of": 32, "original": [0, 1, 3, ...], "removed": [2, ...], "removed_now": [2]}
// all by the numbers of the model it began as; original[i] is what layer i was.
nlohmann::json model_history(const std::string& made_by, const std::string& version, const Checkpoint& source,
                             const ModelChange& change);

}  // namespace striate
