#include "striate/model/given_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/model/model_record.h"
#include "striate/model/name_map.h"
#include "striate/model/tensor_list.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::array kModelWeights = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                      "pytorch_model.bin.index.json"};
constexpr std::array kProjectors = {"mm_projector.safetensors", "mm_projector.bin"};

template <typename Names>
bool has_any(const fs::path& folder, const Names& names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return path_exists(folder / name); });
}

std::string text_in(const fs::path& file, const char* key) {
  if (!is_file(file)) return "";
  const json root = read_json_file(file, kHistoryJson);
  const bool named = root.is_object() && root.contains(key) && root.at(key).is_string();
  return named ? root.at(key).get<std::string>() : "";
}

std::string recorded_base(const fs::path& adapter) {
  const std::optional<ModelRecord> ours = ModelRecord::find(adapter);
  const std::string base = ours ? ours->base() : "";
  return base.empty() ? text_in(adapter / "adapter_config.json", "base_model_name_or_path") : base;
}

// Tensors that checkpoints carry and no model of ours needs.
bool is_carried_along(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with("position_ids") ||
         name.find("vision_model.head.") != std::string::npos;
}

}  // namespace

void require_model_folder(const fs::path& folder) {
  if (!is_folder(folder) || has_any(folder, kModelWeights)) return;
  if (is_file(folder / "adapter_config.json")) {
    const std::string base = recorded_base(folder);
    throw invalid_input(folder.string() + ": the folder of an adapter, not of a model",
                        cat("give it together with the model it was tuned on: `model` ", base.empty() ? "BASE" : base,
                            " `adapter` ", folder.string()));
  }
  if (has_any(folder, kProjectors) && !path_exists(folder / "config.json")) {
    throw invalid_input(folder.string() + ": the folder of a projector, not of a model",
                        cat("give it together with its model: `model` BASE `projector` ", folder.string()));
  }
}

void require_used_in_full(const WeightFile& file, const fs::path& path, const ModelConfig& config) {
  std::set<std::string> known;
  for (const TensorSpec& spec : expected_tensors(config)) known.insert(spec.name);
  if (file.tensors().empty()) throw corrupt_data(path.string() + ": the file has no tensors", "the file is incomplete");
  for (const TensorInfo& info : file.tensors()) {
    const auto canonical = canonical_name(info.name);
    if ((canonical && known.contains(*canonical)) || (!canonical && is_carried_along(info.name))) continue;
    throw corrupt_data(cat(path.string(), ": tensor ", quoted_name(info.name), " has no place in the model"),
                       "the file belongs to another model, or its names were changed when it was saved");
  }
}

}  // namespace striate
