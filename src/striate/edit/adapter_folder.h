// Adapters in the layout PEFT saves and opens (https://huggingface.co/docs/peft, checkpoint format).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "striate/model/adapter_file.h"
#include "striate/model/config.h"
#include "striate/model/model_record.h"

namespace striate {

// The linears an adapter sits on: {layer, "self_attn.q_proj"}.
using AdapterTargets = std::set<std::pair<std::int64_t, std::string>>;

// What PEFT matches module names against, whole: these linears of these layers, nothing on the vision tower.
std::string adapter_target_pattern(const AdapterTargets& targets, Family family);

// adapter_config.json. `base` is written as base_model_name_or_path, in full. The settings hold for every linear; where
// some differ, rank_pattern and alpha_pattern are to be filled.
nlohmann::json adapter_config(const AdapterSettings& settings, const AdapterTargets& targets, Family family,
                              const std::filesystem::path& base);

struct AdapterOutOptions {
  // {layer: its number in the result}; the matrices of other layers are left out, and so are their norms where the
  // adapter has some in non_lora_trainables. Absent: all, as they are.
  std::optional<std::map<std::int64_t, std::int64_t>> layers;
  std::optional<at::ScalarType> dtype;  // of every tensor; absent: each as it is
  std::optional<ModelRecord> record;    // written as striate.json; absent: none is written
};

// An adapter's folder again, whichever naming it came in, for models of `family` whose folder is `base`:
// adapter_model.safetensors, non_lora_trainables.safetensors where something that stays was trained beside the adapter,
// adapter_config.json. Files appear whole, adapter_config.json last; the numbers are those of `adapter`, or rounded
// once.
// Throws InvalidInput when no layer is left.
void write_adapter_folder(const std::filesystem::path& folder, const AdapterFile& adapter, Family family,
                          const std::filesystem::path& base, const AdapterOutOptions& options = {});

}  // namespace striate
