#include "striate/region/adapter_folder.h"

#include <ATen/core/Tensor.h>

#include <cmath>
#include <functional>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/tensor/mapped_tensor.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// 256 rather than 256.0, as PEFT writes it.
nlohmann::json number(double value) {
  if (std::floor(value) == value && std::abs(value) < 1e15) return static_cast<std::int64_t>(value);
  return value;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '.' ? std::string("\\.") : std::string(1, c);
  return out;
}

// "(?:1|3)\.(?:self_attn\.q_proj|...)" where every layer has the same linears, else each by itself.
std::string which(const AdapterTargets& targets) {
  std::set<std::int64_t> layers;
  std::set<std::string> linears;
  std::vector<std::string> each;
  for (const auto& [layer, linear] : targets) {
    layers.insert(layer);
    linears.insert(escaped(linear));
    each.push_back(cat(layer, "\\.", escaped(linear)));
  }
  if (targets.size() != layers.size() * linears.size()) return cat("(?:", join(each, "|"), ")");
  std::vector<std::string> numbers;
  for (const std::int64_t layer : layers) numbers.push_back(std::to_string(layer));
  return cat("(?:", join(numbers, "|"), ")\\.(?:", join({linears.begin(), linears.end()}, "|"), ")");
}

// A tensor and what it is called in the file to be written.
struct Item {
  std::string name;
  TensorInfo info;
  std::function<at::Tensor()> load;
};

void write_items(const fs::path& path, const std::vector<Item>& items, const std::optional<at::ScalarType>& dtype) {
  const auto type = [&](const Item& item) { return dtype.value_or(item.info.dtype); };
  std::vector<SafetensorsWriter::Entry> entries;
  for (const Item& item : items) entries.push_back({item.name, type(item), item.info.shape});
  SafetensorsWriter writer(path, std::move(entries));
  for (const Item& item : items) writer.append(item.load().to(type(item)).contiguous());
  writer.commit();
}

std::vector<Item> items_beside(const AdapterFile& adapter, Naming naming) {
  std::vector<Item> items;
  for (const TensorInfo& info : adapter.beside()->tensors()) {
    const auto canonical = canonical_name(info.name);
    items.push_back({canonical ? file_name(*canonical, naming) : info.name, info,
                     [&adapter, name = info.name] { return adapter.beside()->load(name); }});
  }
  return items;
}

}  // namespace

Naming live_naming(Family family) {
  return family == Family::kLlavaHf ? Naming::kLlavaHfNew : Naming::kOriginal;
}

std::string adapter_target_pattern(const AdapterTargets& targets, Family family) {
  // Older and newer transformers place llava-hf's decoder differently; a vision tower's layers match neither.
  const bool llava = family == Family::kLlavaHf;
  const std::string where = llava ? R"((?:model\.)?language_model\.(?:model\.)?layers\.)" : R"(model\.layers\.)";
  return where + which(targets);
}

nlohmann::json adapter_config(const AdapterSettings& settings, const AdapterTargets& targets, Family family,
                              const fs::path& base) {
  // Language-model heads are what PEFT's task wraps; a llava-hf model is loaded without one.
  const bool llava = family == Family::kLlavaHf;
  return {{"peft_type", "LORA"},
          {"task_type", llava ? nlohmann::json(nullptr) : nlohmann::json("CAUSAL_LM")},
          {"base_model_name_or_path", fs::absolute(base).lexically_normal().string()},
          {"r", settings.rank},
          {"lora_alpha", number(settings.alpha)},
          {"lora_dropout", settings.dropout},
          {"target_modules", adapter_target_pattern(targets, family)},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"modules_to_save", nullptr},
          {"use_dora", false},
          {"use_rslora", settings.rank_stabilised}};
}

void write_adapter_folder(const fs::path& folder, const AdapterFile& adapter, Family family, const fs::path& base,
                          const AdapterOutOptions& options) {
  const Naming naming = live_naming(family);
  AdapterTargets targets;
  AdapterSettings settings = adapter.settings();
  std::vector<Item> matrices;
  for (const AdapterPair& pair : adapter.pairs()) {
    if (options.layers && !options.layers->contains(pair.layer)) continue;
    const std::int64_t layer = options.layers ? options.layers->at(pair.layer) : pair.layer;
    const std::int64_t rank = targets.empty() ? pair.a->shape[0] : settings.rank;
    if (pair.a->shape[0] != rank || pair.b->shape[1] != rank) {
      throw unsupported(cat(adapter.where(), ": matrices of different ranks (", pair.linear, " of layer ", pair.layer,
                            ": A ", shape_text(pair.a->shape), ", B ", shape_text(pair.b->shape), ")"),
                        "merge the adapter instead: --format hf");
    }
    settings.rank = rank;
    targets.emplace(layer, pair.linear);
    for (const auto& [half, info] : {std::pair("lora_A", pair.a), std::pair("lora_B", pair.b)}) {
      const std::string canonical = cat("model.layers.", layer, ".", pair.linear, ".", half, ".weight");
      matrices.push_back({"base_model.model." + file_name(canonical, naming), *info,
                          [&adapter, matrix = info] { return adapter.load(*matrix); }});
    }
  }
  if (targets.empty()) {
    throw invalid_input(cat(adapter.where(), ": no layer of the adapter would be left"),
                        "the base alone is that model; what was trained beside it (the projector) opens with "
                        "--projector DIR");
  }
  fs::create_directories(folder);
  if (adapter.beside()) {
    write_items(folder / "non_lora_trainables.safetensors", items_beside(adapter, naming), options.dtype);
  }
  write_items(folder / "adapter_model.safetensors", matrices, options.dtype);
  if (!options.history.is_null()) write_file(folder / "striate.json", options.history.dump(2) + "\n");
  write_file(folder / "adapter_config.json", adapter_config(settings, targets, family, base).dump(2) + "\n");
}

}  // namespace striate
