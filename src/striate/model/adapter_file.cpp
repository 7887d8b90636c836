#include "striate/model/adapter_file.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/model/config_reader.h"
#include "striate/model/name_map.h"
#include "striate/tensor/mapped_tensor.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLayers = "model.layers.";

AdapterSettings read_settings(const fs::path& file) {
  const nlohmann::json root = read_json_file(file);
  const ConfigReader config(root, file.string());
  const std::string kind = config.text("peft_type", "LORA");
  if (kind != "LORA") throw unsupported(cat(file.string(), ": adapter kind ", kind), "known: LORA");
  if (config.boolean("use_dora", false))
    throw unsupported(file.string() + ": DoRA adapters", "merge it with PEFT first");
  for (const char* key : {"alpha_pattern", "rank_pattern"}) {
    if (config.has(key) && !config.at(key).empty()) {
      throw unsupported(cat(file.string(), ": ", key), "merge the adapter with PEFT first");
    }
  }
  if (config.text("bias", "none") != "none") {
    throw unsupported(file.string() + ": adapters that train biases", "merge the adapter with PEFT first");
  }
  AdapterSettings settings;
  settings.rank = config.integer("r", 8, 1, 1 << 16);
  settings.alpha = config.number("lora_alpha", static_cast<double>(settings.rank));
  settings.dropout = config.number("lora_dropout", 0);
  settings.rank_stabilised = config.boolean("use_rslora", false);
  return settings;
}

fs::path find_weights(const fs::path& folder) {
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (fs::exists(folder / name)) return folder / name;
  }
  throw invalid_input(folder.string() + ": no adapter_model.safetensors or .bin in it",
                      "give a folder as PEFT saves it");
}

void check_pair(const AdapterPair& pair, const std::string& where) {
  const std::string module = cat(kLayers, pair.layer, ".", pair.linear);
  if (pair.a == nullptr || pair.b == nullptr) {
    throw corrupt_data(cat(where, ": ", module, " has only one of lora_A and lora_B"), "the file is incomplete");
  }
  for (const TensorInfo* matrix : {pair.a, pair.b}) {
    if (!at::isFloatingType(matrix->dtype)) {
      throw unsupported(cat(where, ": tensor ", quoted_name(matrix->name), " is ", c10::toString(matrix->dtype)),
                        "adapters are F32, F16 or BF16");
    }
  }
  if (pair.a->shape.size() != 2 || pair.b->shape.size() != 2 || pair.a->shape.front() < 1) {
    throw corrupt_data(cat(where, ": ", module, ": A ", shape_text(pair.a->shape), " and B ", shape_text(pair.b->shape),
                           " are no matrices"),
                       "the file is damaged");
  }
}

// PEFT writes `.lora_A.weight`, live state dicts `.lora_A.default.weight`.
std::vector<AdapterPair> pair_up(const WeightFile& file, const std::string& where) {
  std::map<std::pair<std::int64_t, std::string>, AdapterPair> pairs;
  for (const TensorInfo& info : file.tensors()) {
    const std::string canonical = canonical_name(info.name).value_or("");
    const std::size_t at_a = canonical.find(".lora_A.");
    const std::size_t at = std::min(at_a, canonical.find(".lora_B."));
    if (at == std::string::npos || !canonical.starts_with(kLayers)) {
      throw unsupported(cat(where, ": tensor ", quoted_name(info.name), " is no LoRA matrix of a decoder layer"),
                        "adapters sit on the decoder's linears; other weights belong in non_lora_trainables");
    }
    const auto target = split_layer_name(canonical.substr(0, at));
    if (!target) {
      throw corrupt_data(cat(where, ": ", quoted_name(canonical.substr(0, at)), " names no layer"),
                         "is it an adapter of this model?");
    }
    AdapterPair& pair =
        pairs.try_emplace(*target, AdapterPair{target->first, target->second, nullptr, nullptr}).first->second;
    (at == at_a ? pair.a : pair.b) = &info;
  }
  std::vector<AdapterPair> list;
  for (auto& [target, pair] : pairs) {
    check_pair(pair, where);
    list.push_back(std::move(pair));
  }
  return list;
}

}  // namespace

double AdapterSettings::scale(std::int64_t rank_of_pair) const {
  const auto r = static_cast<double>(rank_of_pair);
  return alpha / (rank_stabilised ? std::sqrt(r) : r);
}

std::optional<fs::path> find_non_lora(const fs::path& adapter) {
  for (const char* name : {"non_lora_trainables.safetensors", "non_lora_trainables.bin"}) {
    if (fs::exists(adapter / name)) return adapter / name;
  }
  return std::nullopt;
}

std::optional<std::pair<std::int64_t, std::string>> split_layer_name(const std::string& canonical) {
  if (!canonical.starts_with(kLayers)) return std::nullopt;
  const std::size_t dot = canonical.find('.', kLayers.size());
  if (dot == std::string::npos) return std::nullopt;
  const std::string digits = canonical.substr(kLayers.size(), dot - kLayers.size());
  const bool number =
      !digits.empty() && digits.size() < 6 && digits.find_first_not_of("0123456789") == std::string::npos;
  if (!number) return std::nullopt;
  return std::pair(std::stoll(digits), canonical.substr(dot + 1));
}

AdapterFile::AdapterFile(fs::path folder) : folder_(std::move(folder)) {
  std::error_code ignored;
  if (!fs::is_directory(folder_, ignored)) {
    throw invalid_input(folder_.string() + ": no such folder", "give a folder with adapter_config.json");
  }
  const fs::path config = folder_ / "adapter_config.json";
  if (!fs::exists(config)) {
    throw invalid_input(folder_.string() + ": no adapter_config.json in it", "give a folder as PEFT saves it");
  }
  settings_ = read_settings(config);
  file_ = open_weight_file(find_weights(folder_));
  pairs_ = pair_up(*file_, where());
  if (const auto beside = find_non_lora(folder_)) beside_ = open_weight_file(*beside);
}

const AdapterPair* AdapterFile::find(std::int64_t layer, const std::string& linear) const {
  const auto found = std::find_if(pairs_.begin(), pairs_.end(), [&](const AdapterPair& pair) {
    return pair.layer == layer && pair.linear == linear;
  });
  return found == pairs_.end() ? nullptr : &*found;
}

std::vector<std::int64_t> AdapterFile::layers() const {
  std::set<std::int64_t> layers;
  for (const AdapterPair& pair : pairs_) layers.insert(pair.layer);
  return {layers.begin(), layers.end()};
}

std::string AdapterFile::where() const {
  return file_->tensors().empty() ? folder_.string() : file_->tensors().front().file.string();
}

}  // namespace striate
