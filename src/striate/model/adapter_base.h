// The model that an adapter was tuned on, as the adapter's striate.json records it.
#pragma once

#include <filesystem>

#include "striate/model/load.h"
#include "striate/model/model_record.h"

namespace striate {

// What an adapter's record says of the model it is tuned on. `base` is opened without an adapter.
BaseWeights base_weights(const Checkpoint& base);
// The same, of what `paths` name, their adapter left out.
BaseWeights base_weights(ModelPaths paths);

// Throws InvalidInput when the adapter in `folder` records another base than `model` (opened without the adapter):
// another number or shape of layers, or other weights in them. The same weights rounded to another type pass, and so
// does an adapter without a record, which others made. Throws CorruptData for a malformed record.
void check_adapter_base(const std::filesystem::path& folder, const Checkpoint& model);

}  // namespace striate
