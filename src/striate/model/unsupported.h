// Models that look supported but compute something else: the one list of them.
//
// A setting of config.json, or a tensor, that changes what a model computes is either understood by the code or refused
// here by its name, with what to do. docs/models.md shows the list to users.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "striate/model/config.h"
#include "striate/model/weight_source.h"

namespace striate {

// Settings with a value that is not supported: quantised weights, LLaVA-1.6's tiles, S2 scales, resamplers, experts,
// projectors without biases, ... `config` is config.json or one of its parts (text_config, vision_config); `where` is
// what errors call it. Throws Unsupported, naming key and value.
void refuse_unsupported_settings(const nlohmann::json& config, const std::string& where);

// Tensors that show another architecture, whatever config.json says: quantised weights, image_newline, resamplers,
// experts, names that carry a wrapper's prefix (module., _orig_mod.), adapters inside a model. Throws Unsupported,
// naming file and tensor.
void refuse_unsupported_tensors(const WeightSource& weights);

// Tensors of the decoder, the projector or the tower's layers that the configuration has no place for, so that the
// model would be computed without them, and a tied head that is not the embedding. Throws CorruptData, naming the
// first, or Unsupported for a projector without biases.
void refuse_leftover_tensors(const ModelConfig& config, const WeightSource& weights);

}  // namespace striate
