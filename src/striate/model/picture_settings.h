// How pictures are prepared for a model: what its files say, what training used, and what the user asks for.
//
// Sizes, means and the way of resizing come from processor_config.json ("image_processor", as transformers 5 writes
// it), else preprocessor_config.json, else the tower's own defaults; first in the model's folder, then in that of
// `vision_tower`, then in the vision tower's folder inside the model's. Whether a picture is padded to a square or
// cropped is decided by the first of these that says so:
//   1. `image_aspect`;
//   2. what the adapter, or the projector given by its folder, was trained with (striate.json, "image_aspect");
//   3. llava-hf: "image_aspect_ratio" in config.json, else "do_pad" of the processor; the others: "image_aspect_ratio";
//   4. in training: padded, as in LLaVA's recipe;
//   5. what the original code of the family does without such a setting.
#pragma once

#include <filesystem>
#include <optional>

#include "striate/image/image.h"
#include "striate/model/config.h"

namespace striate {

// The pixels this model's tower expects, by 1, 2, 3 and 5. Throws CorruptData or Unsupported, naming file and key;
// Internal for a language model alone.
PreprocessConfig preprocess_config(const ModelConfig& config, const std::filesystem::path& folder);

// The settings of the image processor as its file has them; nullopt where there is no such file.
std::optional<nlohmann::json> processor_settings(const ModelConfig& config, const std::filesystem::path& folder);

// Whether training pads, by 1, 2, 3 and 4. Throws as above.
bool pads_in_training(const ModelConfig& config, const std::filesystem::path& folder);

// "pad" or "crop", as `image_aspect` and striate.json spell it.
const char* image_aspect_name(bool pad);

// What striate.json of a run's folder says its pictures were; nullopt where it does not. Throws CorruptData.
std::optional<bool> recorded_padding(const std::filesystem::path& folder);

// Makes the files of a model's folder say that pictures are padded, or cropped, where they do not yet: "do_pad" with
// LLaVA's processor for transformers (llava-hf), "image_aspect_ratio" for LLaVA's and Bunny's own code. `config` is
// what read_model_config() gives of the folder.
void write_padding(const std::filesystem::path& folder, const ModelConfig& config, bool pad);

}  // namespace striate
