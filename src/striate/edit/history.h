// The records of changed models.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "striate/edit/model_change.h"
#include "striate/model/model_record.h"

namespace striate {

// ModelRecord::origin() of the model of `layers` layers in `folder`; one without a record is its own origin.
LayerSet layer_origin(const std::filesystem::path& folder, std::int64_t layers);

// The beginning of a new record: who made it (with `version`), from which folder, the adapter that was merged with its
// own history, the source's record, and, once layers have been removed, which ones.
ModelRecord model_history(const std::string& made_by, const std::string& version, const Checkpoint& source,
                          const ModelChange& change);

}  // namespace striate
