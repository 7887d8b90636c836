// Where a vision tower lies beside the rest of a model.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace striate {

// The vision tower's folder inside the model's own, as a name relative to it: `name` (config.json's mm_vision_tower) or
// the last part of `name`, whichever is a folder there. nullopt when neither is. A configuration comes from elsewhere:
// what it names outside the model's folder (an absolute path, "..", a folder of the current directory) is never opened;
// people give such towers with `vision_tower`.
std::optional<std::filesystem::path> tower_folder_inside(const std::filesystem::path& model, const std::string& name);

}  // namespace striate
