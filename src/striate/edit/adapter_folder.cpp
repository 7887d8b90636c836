#include "striate/edit/adapter_folder.h"

#include <ATen/core/Tensor.h>

#include <cmath>
#include <functional>

#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"

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

void write_items(const OutputPath& path, const std::vector<Item>& items, const std::optional<at::ScalarType>& dtype) {
  const auto type = [&](const Item& item) { return dtype.value_or(item.info.dtype); };
  std::vector<SafetensorsWriter::Entry> entries;
  for (const Item& item : items) entries.push_back({item.name, type(item), item.info.shape});
  SafetensorsWriter writer(path, std::move(entries));
  for (const Item& item : items) writer.append(item.load().to(type(item)).contiguous());
  writer.commit();
}

// What was trained beside the adapter. A norm of a decoder layer shares the fate of the layer's matrices.
std::vector<Item> items_beside(const AdapterFile& adapter, Naming naming, const AdapterOutOptions& options) {
  std::vector<Item> items;
  for (const TensorInfo& info : adapter.beside()->tensors()) {
    std::optional<std::string> canonical = canonical_name(info.name);
    const auto of_layer = canonical ? split_layer_name(*canonical) : std::nullopt;
    if (of_layer && options.layers) {
      const auto stays = options.layers->find(of_layer->first);
      if (stays == options.layers->end()) continue;
      canonical = cat("model.layers.", stays->second, ".", of_layer->second);
    }
    items.push_back({canonical ? file_name(*canonical, naming) : info.name, info,
                     [&adapter, name = info.name] { return adapter.beside()->load(name); }});
  }
  return items;
}

// The linears of an adapter that is written, with the rank and alpha of each.
class Targets {
 public:
  explicit Targets(const AdapterSettings& settings) : settings_(settings) {}

  void add(std::int64_t layer, const AdapterPair& pair) {
    if (targets_.empty()) {
      settings_.rank = pair.rank();
      settings_.alpha = pair.alpha;
    }
    targets_.emplace(layer, pair.linear);
    // PEFT matches the end of a module's name.
    const std::string pattern = cat("layers\\.", layer, "\\.", escaped(pair.linear));
    if (pair.rank() != settings_.rank) ranks_[pattern] = pair.rank();
    if (pair.alpha != settings_.alpha) alphas_[pattern] = number(pair.alpha);
  }

  nlohmann::json config(Family family, const fs::path& base) const {
    nlohmann::json out = adapter_config(settings_, targets_, family, base);
    out["rank_pattern"] = ranks_;
    out["alpha_pattern"] = alphas_;
    return out;
  }

 private:
  AdapterSettings settings_;
  AdapterTargets targets_;
  nlohmann::json ranks_ = nlohmann::json::object();
  nlohmann::json alphas_ = nlohmann::json::object();
};

}  // namespace

std::string adapter_target_pattern(const AdapterTargets& targets, Family family) {
  // Older and newer transformers place llava-hf's decoder differently; a vision tower's layers match neither.
  const bool nested = file_conventions(family).nested_decoder;
  const std::string where = nested ? R"((?:model\.)?language_model\.(?:model\.)?layers\.)" : R"(model\.layers\.)";
  return where + which(targets);
}

nlohmann::json adapter_config(const AdapterSettings& settings, const AdapterTargets& targets, Family family,
                              const fs::path& base) {
  // Language-model heads are what PEFT's task wraps; a llava-hf model is loaded without one.
  const bool nested = file_conventions(family).nested_decoder;
  nlohmann::json start = true;
  if (settings.start != AdapterStart::kZero) start = adapter_start_name(settings.start);
  return {{"peft_type", "LORA"},
          {"task_type", nested ? nlohmann::json(nullptr) : nlohmann::json("CAUSAL_LM")},
          {"base_model_name_or_path", full_path(base).string()},
          {"r", settings.rank},
          {"lora_alpha", number(settings.alpha)},
          {"lora_dropout", settings.dropout},
          {"target_modules", adapter_target_pattern(targets, family)},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", start},
          {"modules_to_save", nullptr},
          {"use_dora", false},
          {"use_rslora", settings.rank_stabilised},
          {"rank_pattern", nlohmann::json::object()},
          {"alpha_pattern", nlohmann::json::object()}};
}

void write_adapter_folder(const fs::path& folder, const AdapterFile& adapter, Family family, const fs::path& base,
                          const AdapterOutOptions& options) {
  const Naming naming = file_conventions(family).live_naming;
  Targets targets(adapter.settings());
  std::vector<Item> matrices;
  for (const AdapterPair& pair : adapter.pairs()) {
    if (options.layers && !options.layers->contains(pair.layer)) continue;
    const std::int64_t layer = options.layers ? options.layers->at(pair.layer) : pair.layer;
    targets.add(layer, pair);
    for (const auto& [half, info] : {std::pair("lora_A", pair.a), std::pair("lora_B", pair.b)}) {
      const std::string canonical = cat("model.layers.", layer, ".", pair.linear, ".", half, ".weight");
      matrices.push_back({"base_model.model." + file_name(canonical, naming), *info,
                          [&adapter, matrix = info] { return adapter.load(*matrix); }});
    }
  }
  if (matrices.empty()) {
    throw invalid_input(cat(adapter.where(), ": no layer of the adapter would be left"),
                        "use the base alone; the weights trained in addition (the projector) open with "
                        "`projector` DIR");
  }
  const std::vector<Item> beside = adapter.beside() ? items_beside(adapter, naming, options) : std::vector<Item>();
  if (!beside.empty()) {
    write_items(OutputPath::inside(folder, "non_lora_trainables.safetensors"), beside, options.dtype);
  }
  write_items(OutputPath::inside(folder, "adapter_model.safetensors"), matrices, options.dtype);
  if (options.record) options.record->write(folder);
  write_file(OutputPath::inside(folder, "adapter_config.json"), targets.config(family, base).dump(2) + "\n");
}

}  // namespace striate
