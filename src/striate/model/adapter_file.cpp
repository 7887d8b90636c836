#include "striate/model/adapter_file.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/neg.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/model/adapter_start.h"
#include "striate/model/name_map.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLayers = "model.layers.";

fs::path find_weights(const fs::path& folder) {
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (path_exists(folder / name)) return folder / name;
  }
  throw invalid_input(folder.string() + ": the folder has no adapter_model.safetensors or .bin",
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
                           " are not matrices"),
                       "the file is damaged");
  }
}

// A tensor's name, taken apart.
struct MatrixName {
  std::int64_t layer;
  std::string linear;
  bool is_a;           // else B
  std::string module;  // as PEFT called it: without its own prefix
};

// PEFT writes `.lora_A.weight`, live state dicts `.lora_A.default.weight`.
bool is_matrix_ending(std::string_view ending) {
  constexpr std::string_view kWeight = "weight";
  if (!ending.ends_with(kWeight)) return false;
  ending.remove_suffix(kWeight.size());
  return ending.empty() || (ending.ends_with('.') && ending.find('.') == ending.size() - 1);
}

MatrixName take_apart(const TensorInfo& info, const std::string& where) {
  constexpr std::size_t kMarkBytes = std::string_view(".lora_A.").size();
  constexpr std::string_view kPeft = "base_model.model.";
  const std::string canonical = canonical_name(info.name).value_or("");
  const std::size_t at_a = canonical.find(".lora_A.");
  const std::size_t at = std::min(at_a, canonical.find(".lora_B."));
  if (at == std::string::npos || !canonical.starts_with(kLayers)) {
    throw unsupported(cat(where, ": tensor ", quoted_name(info.name), " is not a LoRA matrix of a decoder layer"),
                      "adapters sit on the decoder's linears; other weights belong in non_lora_trainables");
  }
  if (!is_matrix_ending(std::string_view(canonical).substr(at + kMarkBytes))) {
    throw unsupported(cat(where, ": tensor ", quoted_name(info.name), " is neither lora_A nor lora_B"),
                      "biases of LoRA matrices (lora_bias) are not implemented: merge the adapter with PEFT first");
  }
  const auto target = split_layer_name(canonical.substr(0, at));
  if (!target) {
    throw corrupt_data(cat(where, ": ", quoted_name(canonical.substr(0, at)), " does not name a layer"),
                       "check that it is an adapter of this model");
  }
  std::string module = info.name.starts_with(kPeft) ? info.name.substr(kPeft.size()) : info.name;
  module.resize(std::min(module.find(".lora_A."), module.find(".lora_B.")));
  return {target->first, target->second, at == at_a, std::move(module)};
}

// The settings must ask for the matrices that are there, of the rank that they have: PEFT leaves out or refuses others.
void check_settings(const AdapterConfig& config, const MatrixName& name, const TensorInfo& info,
                    const std::string& where) {
  std::optional<std::string> key = config.left_out_by(name.module, name.layer);
  const std::string canonical = cat(kLayers, name.layer, ".", name.linear);
  for (const Naming naming : {Naming::kLlavaHf, Naming::kLlavaHfNew, Naming::kOriginal}) {
    if (key) key = config.left_out_by(file_name(canonical, naming), name.layer);
  }
  if (key) {
    throw corrupt_data(
        cat(where, ": tensor ", quoted_name(info.name), " is left out by \"", *key, "\" of adapter_config.json"),
        "PEFT would not use it: correct the setting, or remove the tensor from the file");
  }
  // Whether A is a matrix, and B fits it, is for check_pair() and update().
  if (!name.is_a || info.shape.size() != 2 || info.shape[0] == config.rank(name.module)) return;
  throw corrupt_data(cat(where, ": tensor ", quoted_name(info.name), " is of rank ", info.shape[0],
                         ", but adapter_config.json (r, rank_pattern) says ", config.rank(name.module)),
                     "the two files belong to different adapters");
}

std::vector<AdapterPair> pair_up(const WeightFile& file, const AdapterConfig& config, const std::string& where) {
  std::map<std::pair<std::int64_t, std::string>, AdapterPair> pairs;
  for (const TensorInfo& info : file.tensors()) {
    const MatrixName name = take_apart(info, where);
    AdapterPair& pair =
        pairs.try_emplace({name.layer, name.linear}, AdapterPair{name.layer, name.linear, nullptr, nullptr})
            .first->second;
    const TensorInfo*& half = name.is_a ? pair.a : pair.b;
    if (half != nullptr) {
      throw unsupported(
          cat(where, ": tensors ", quoted_name(half->name), " and ", quoted_name(info.name), " are the same matrix"),
          "it holds several adapters: save one of them by itself");
    }
    half = &info;
    check_settings(config, name, info, where);
    pair.alpha = config.alpha(name.module);
  }
  if (pairs.empty()) {
    throw corrupt_data(where + ": the adapter has no matrices",
                       "save it again: with PEFT's save_pretrained(), or from a whole state dict");
  }
  std::vector<AdapterPair> list;
  for (auto& [target, pair] : pairs) {
    check_pair(pair, where);
    list.push_back(std::move(pair));
  }
  return list;
}

// PiSSA divides the weight's singular values by the scale.
void check_start(const AdapterFile& adapter) {
  if (adapter.settings().start == AdapterStart::kZero) return;
  for (const AdapterPair& pair : adapter.pairs()) {
    if (adapter.scale(pair) > 0) continue;
    throw corrupt_data(cat((adapter.folder() / "adapter_config.json").string(), ": \"lora_alpha\" ", pair.alpha,
                           " with init_lora_weights ", adapter_start_name(adapter.settings().start)),
                       "the scale must be above 0");
  }
}

}  // namespace

std::optional<fs::path> find_non_lora(const fs::path& adapter) {
  for (const char* name : {"non_lora_trainables.safetensors", "non_lora_trainables.bin"}) {
    if (path_exists(adapter / name)) return adapter / name;
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
  if (!is_folder(folder_)) {
    throw invalid_input(folder_.string() + ": no such folder", "give a folder with adapter_config.json");
  }
  const fs::path config = folder_ / "adapter_config.json";
  if (!path_exists(config)) {
    throw invalid_input(folder_.string() + ": the folder has no adapter_config.json", "give a folder as PEFT saves it");
  }
  const AdapterConfig settings(config);
  settings_ = settings.settings();
  const fs::path weights = find_weights(folder_);
  file_ = open_weight_file(weights);
  pairs_ = pair_up(*file_, settings, weights.string());
  check_start(*this);
  if (const auto beside = find_non_lora(folder_)) beside_ = open_weight_file(*beside);
}

AdapterUpdate AdapterFile::update(const AdapterPair& pair, const at::Tensor& weight) const {
  const bool fits = weight.dim() == 2 && pair.rank() == pair.b->shape[1] && pair.a->shape[1] == weight.size(1) &&
                    pair.b->shape[0] == weight.size(0);
  if (!fits) {
    throw corrupt_data(cat(where(), ": ", kLayers, pair.layer, ".", pair.linear, ": A ", shape_text(pair.a->shape),
                           ", B ", shape_text(pair.b->shape), " does not fit a weight ", shape_text(weight.sizes())),
                       "the adapter belongs to another model");
  }
  AdapterUpdate update{load(*pair.a).to(at::kFloat), load(*pair.b).to(at::kFloat), scale(pair)};
  if (settings_.start == AdapterStart::kZero) return update;
  const LowRankProduct start = adapter_start(settings_.start, weight, pair.rank(), update.scale);
  update.a = at::cat({update.a, start.a}, 0);
  update.b = at::cat({update.b, start.b.neg()}, 1);
  return update;
}

std::int64_t AdapterFile::matrix_bytes(bool copies_only) const {
  const bool starts = settings_.start != AdapterStart::kZero;
  std::int64_t sum = 0;
  for (const AdapterPair& pair : pairs_) {
    for (const TensorInfo* matrix : {pair.a, pair.b}) {
      const bool mapped = !starts && matrix->dtype == at::kFloat;
      if (!copies_only || !mapped) sum += 4 * (starts ? 2 : 1) * matrix->shape[0] * matrix->shape[1];
    }
  }
  return sum;
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
