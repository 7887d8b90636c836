// A Hugging Face config.json of a model with fewer layers.
#pragma once

#include <nlohmann/json.hpp>

#include "striate/model/layer_set.h"

namespace striate {

// `config` (a decoder's settings: config.json itself, or llava's text_config) of keep.depth() layers, for the layers
// `keep` alone. What speaks of single layers follows:
//   num_hidden_layers              is set, also where the file leaves it to the default
//   lists with one entry a layer   (layer_types, no_rope_layers, ...: keys that name layers, of that length) lose
//   entries lists of layer numbers         (keys that end in _layers, e.g. mlp_only_layers) are renumbered
//   max_window_layers              how many of the lowest layers it counts
//   pruned_heads                   its keys are renumbered
// Keys about the vision tower's layers (mm_..., vision_...) stay.
nlohmann::json config_of_layers(nlohmann::json config, const LayerSet& keep);

}  // namespace striate
