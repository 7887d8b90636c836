// Checks of files that the user gave: a folder of the wrong kind, or a file that would be used only in part.
#pragma once

#include <filesystem>

#include "striate/files/weight_file.h"
#include "striate/model/config.h"

namespace striate {

// Throws InvalidInput for a folder that is an adapter's or a projector's and no model's: PEFT's, LLaVA's or Bunny's
// (with a config.json beside the adapter), or that of a Striate run. The hint names the flag that it belongs to, and
// the adapter's base where its files name one.
void require_model_folder(const std::filesystem::path& folder);

// Throws CorruptData, naming the tensor, when `file` holds one that is not part of a model of this configuration, or no
// tensor at all: what is given to be used is used in full. Rotary tables, position ids and a pooling head pass.
void require_used_in_full(const WeightFile& file, const std::filesystem::path& path, const ModelConfig& config);

}  // namespace striate
