// Reversion: layers of a tuned model get back the weights they had before tuning (the paper's pre-study: it finds a
// visual region by reverting layers and measuring what is lost).
#pragma once

#include <cstdint>
#include <map>

#include "striate/edit/model_change.h"
#include "striate/model/adapter_file.h"
#include "striate/model/load.h"

namespace striate {

// The change that gives `layers` of `tuned` the tensors of `base` bit for bit; `base` outlives it. `base` is the whole
// model from before tuning or its language model alone. A pruned model takes each layer from where it was in a base
// that still has all of them (striate.json).
// Throws InvalidInput when the base is of another kind or depth, when one of its tensors is of another shape (naming
// it), or when every one of the layers equals the base already.
ModelChange reversion(const Checkpoint& tuned, const Checkpoint& base, const LayerSet& layers);

// The layers of `adapter` that are left, as numbers for write_adapter_folder(), when `layers` lose theirs: their
// matrices, and their norms where some were trained beside the adapter. Throws InvalidInput when it changes none of
// `layers`, or no layer with a matrix is left.
std::map<std::int64_t, std::int64_t> adapter_reversion(const AdapterFile& adapter, const LayerSet& layers);

// The same on a model in memory, with or without an adapter: what the written model is compared with. {layer: its
// place in the base}.
void revert_layers(Lvlm& tuned, const Checkpoint& base, const std::map<std::int64_t, std::int64_t>& from_base);

}  // namespace striate
