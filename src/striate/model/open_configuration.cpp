#include "striate/model/open_configuration.h"

#include <algorithm>

#include "striate/base/paths.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

bool holds_weights(const fs::path& folder) {
  if (!is_folder(folder)) return true;  // open_checkpoint() tells what is wrong with it
  for (const fs::path& file : entries_of(folder)) {
    const std::string name = file.filename().string();
    for (const char* ending : {".safetensors", ".bin", ".index.json"}) {
      if (name.ends_with(ending)) return true;
    }
  }
  return false;
}

}  // namespace

Checkpoint open_configuration(const ModelPaths& paths) {
  if (!paths.model || paths.llm || holds_weights(*paths.model)) return open_checkpoint(paths);
  return {read_model_config(*paths.model, paths.vision_tower), {}, *paths.model, paths.adapter};
}

at::ScalarType stored_type(const Checkpoint& checkpoint, const std::string& name) {
  if (const WeightSource::Entry* entry = checkpoint.weights.find(name)) return entry->info->dtype;
  const nlohmann::json& raw = checkpoint.config.raw;
  for (const char* key : {"dtype", "torch_dtype"}) {
    const auto found = raw.find(key);
    if (found == raw.end() || !found->is_string()) continue;
    if (*found == "float32") return at::kFloat;
    if (*found == "float16") return at::kHalf;
  }
  return at::kBFloat16;
}

}  // namespace striate
