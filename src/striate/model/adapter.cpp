// PEFT LoRA adapters (https://huggingface.co/docs/peft, checkpoint format) around a model's linears.
#include <cmath>
#include <map>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config_reader.h"
#include "striate/model/load.h"
#include "striate/model/name_map.h"
#include "striate/tensor/weight_file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

struct AdapterSettings {
  double alpha;
  bool rank_stabilised;
};

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
  const auto rank = static_cast<double>(config.integer("r", 8, 1, 1 << 16));
  return {config.number("lora_alpha", rank), config.boolean("use_rslora", false)};
}

fs::path find_weights(const fs::path& folder) {
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (fs::exists(folder / name)) return folder / name;
  }
  throw invalid_input(folder.string() + ": no adapter_model.safetensors or .bin in it",
                      "give a folder as PEFT saves it");
}

// The two halves of one adapter.
struct Pair {
  const TensorInfo* a = nullptr;
  const TensorInfo* b = nullptr;
};

// "model.layers.3.self_attn.q_proj" -> {A, B}. PEFT writes `.lora_A.weight`, live state dicts `.lora_A.default.weight`.
std::map<std::string, Pair> pair_up(const WeightFile& file) {
  std::map<std::string, Pair> pairs;
  for (const TensorInfo& info : file.tensors()) {
    const std::string canonical = canonical_name(info.name).value_or("");
    const std::size_t at_a = canonical.find(".lora_A.");
    const std::size_t at_b = canonical.find(".lora_B.");
    const std::size_t at = std::min(at_a, at_b);
    if (at == std::string::npos || !canonical.starts_with("model.layers.")) {
      throw unsupported(cat(info.file.string(), ": tensor ", info.name, " is no LoRA matrix of a decoder layer"),
                        "adapters sit on the decoder's linears; other weights belong in non_lora_trainables");
    }
    Pair& pair = pairs[canonical.substr(0, at)];
    (at == at_a ? pair.a : pair.b) = &info;
  }
  return pairs;
}

struct Target {
  std::size_t layer;
  std::string linear;
};

// "model.layers.3.self_attn.q_proj" -> {3, "self_attn.q_proj"}.
Target parse_target(const std::string& module, std::size_t layers, const std::string& where) {
  constexpr std::string_view kPrefix = "model.layers.";
  const std::string rest = module.substr(kPrefix.size());
  const std::size_t dot = rest.find('.');
  const std::string digits = rest.substr(0, dot);
  const bool numeric = dot != std::string::npos && !digits.empty() && digits.size() < 6 &&
                       digits.find_first_not_of("0123456789") == std::string::npos;
  if (!numeric) throw corrupt_data(cat(where, ": ", module, " names no layer"), "is it an adapter of this model?");
  const std::size_t layer = std::stoul(digits);
  if (layer >= layers) {
    throw corrupt_data(cat(where, ": an adapter for layer ", layer, "; the model has layers 0 to ", layers - 1),
                       "the adapter belongs to another model");
  }
  return {layer, rest.substr(dot + 1)};
}

}  // namespace

void apply_adapter(Lvlm& model, const fs::path& folder) {
  const fs::path config_file = folder / "adapter_config.json";
  if (!fs::exists(config_file)) {
    throw invalid_input(folder.string() + ": no adapter_config.json in it", "give a folder as PEFT saves it");
  }
  const AdapterSettings settings = read_settings(config_file);
  const std::shared_ptr<const WeightFile> file = open_weight_file(find_weights(folder));
  const std::string where = file->tensors().empty() ? folder.string() : file->tensors().front().file.string();
  std::vector<DecoderLayer>& layers = model.decoder().layers();
  const at::Device device = model.placement().device;
  for (const auto& [module, pair] : pair_up(*file)) {
    if (pair.a == nullptr || pair.b == nullptr) {
      throw corrupt_data(cat(where, ": ", module, " has only one of lora_A and lora_B"), "the file is incomplete");
    }
    const Target target = parse_target(module, layers.size(), where);
    const Linear* current = nullptr;
    for (const auto& [name, linear] : layers[target.layer].linears()) {
      if (name == target.linear) current = linear.get();
    }
    if (current == nullptr) {
      throw corrupt_data(cat(where, ": layer ", target.layer, " has no linear ", target.linear),
                         "the adapter belongs to another family of models");
    }
    const at::Tensor a = file->load(pair.a->name).to(device, at::kFloat);
    const at::Tensor b = file->load(pair.b->name).to(device, at::kFloat);
    const auto rank = static_cast<double>(a.dim() == 2 ? a.size(0) : 1);
    const double scale = settings.alpha / (settings.rank_stabilised ? std::sqrt(rank) : rank);
    layers[target.layer].replace_linear(target.linear, std::make_shared<LoraLinear>(current->matrix(), a, b, scale));
  }
}

}  // namespace striate
