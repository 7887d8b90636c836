// Hugging Face's configuration files, written from a ModelConfig.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "striate/model/config.h"

namespace striate {

// "bfloat16", "float16", "float32": a dtype as Hugging Face's torch_dtype spells it.
std::string torch_dtype_name(at::ScalarType dtype);

// Every file but weights and tokenizer, as {name inside the folder, contents}: config.json, generation_config.json
// (with all of decoder.eos_ids; config.json has the first), and for models that see preprocessor_config.json and
// processor_config.json (llava-hf) or the vision tower's own folder `vision_tower_name` (LLaVA's original layout,
// Bunny). read_model_config() of such a folder gives `config` again.
std::vector<std::pair<std::string, nlohmann::json>> config_files(const ModelConfig& config, at::ScalarType dtype);

// The same for a model that was put together (LLaVA's original layout, Bunny): config.json is the language model's own
// (`config.raw`) with LLaVA's keys, so that no setting of the decoder is lost; the tower's folder gets `processor`, the
// settings of its image processor, where there are some.
std::vector<std::pair<std::string, nlohmann::json>> assembled_config_files(
    const ModelConfig& config, const std::optional<nlohmann::json>& processor, at::ScalarType dtype);

// The folder a vision tower gets inside a model's: Bunny's own code tells towers apart by this name.
std::string tower_folder_name(TowerKind kind);

}  // namespace striate
