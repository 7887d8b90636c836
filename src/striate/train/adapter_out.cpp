#include "striate/train/adapter_out.h"

#include <cmath>
#include <functional>
#include <set>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/model/name_map.h"
#include "striate/tensor/weight_file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLayers = "model.layers.";

// The naming of the model in memory, as PEFT meets it.
Naming live_naming(const Tunable& tunable) {
  return tunable.model().config().family == Family::kLlavaHf ? Naming::kLlavaHfNew : Naming::kOriginal;
}

bool is_adapter(const Parameter& parameter) {
  return parameter.group == ParameterGroup::kAdapter;
}

at::Tensor on_host(const at::Tensor& tensor) {
  return tensor.cpu().contiguous();
}

void write_parameters(const fs::path& path, const Tunable& tunable, const std::string& prefix,
                      const std::function<bool(const Parameter&)>& wanted) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& parameter : tunable.parameters().all()) {
    if (!wanted(*parameter)) continue;
    tensors.emplace_back(prefix + file_name(parameter->name, live_naming(tunable)), on_host(parameter->value));
  }
  write_safetensors(path, tensors);
}

// "model.layers.3.self_attn.q_proj.lora_A.weight" -> {"3", "self_attn.q_proj"}.
std::pair<std::int64_t, std::string> layer_and_linear(const std::string& name) {
  const std::string rest = name.substr(kLayers.size());
  const std::size_t dot = rest.find('.');
  return {std::stoll(rest.substr(0, dot)), rest.substr(dot + 1, rest.find(".lora_") - dot - 1)};
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '.' ? std::string("\\.") : std::string(1, c);
  return out;
}

// 256 rather than 256.0, as PEFT writes it.
nlohmann::json number(double value) {
  if (std::floor(value) == value && std::abs(value) < 1e15) return static_cast<std::int64_t>(value);
  return value;
}

nlohmann::json adapter_config(const Tunable& tunable, const Checkpoint& base) {
  const LoraOptions& lora = tunable.options().lora;
  // Language-model heads are what PEFT's task wraps; a llava-hf model is loaded without one.
  const bool llava = tunable.model().config().family == Family::kLlavaHf;
  return {{"peft_type", "LORA"},
          {"task_type", llava ? nlohmann::json(nullptr) : nlohmann::json("CAUSAL_LM")},
          {"base_model_name_or_path", fs::absolute(base.folder).lexically_normal().string()},
          {"r", lora.rank},
          {"lora_alpha", number(lora.alpha)},
          {"lora_dropout", lora.dropout},
          {"target_modules", target_pattern(tunable)},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"modules_to_save", nullptr},
          {"use_dora", false},
          {"use_rslora", false}};
}

}  // namespace

std::string target_pattern(const Tunable& tunable) {
  std::set<std::int64_t> layers;
  std::set<std::string> linears;
  for (const auto& parameter : tunable.parameters().all()) {
    if (!is_adapter(*parameter)) continue;
    const auto [layer, linear] = layer_and_linear(parameter->name);
    layers.insert(layer);
    linears.insert(escaped(linear));
  }
  std::vector<std::string> numbers;
  for (const std::int64_t layer : layers) numbers.push_back(std::to_string(layer));
  // Older and newer transformers place llava-hf's decoder differently; a vision tower's layers match neither.
  const bool llava = tunable.model().config().family == Family::kLlavaHf;
  const std::string where = llava ? R"((?:model\.)?language_model\.(?:model\.)?layers\.)" : R"(model\.layers\.)";
  return cat(where, "(?:", join(numbers, "|"), ")\\.(?:", join({linears.begin(), linears.end()}, "|"), ")");
}

void write_adapter(const fs::path& folder, const Tunable& tunable, const Checkpoint& base) {
  fs::create_directories(folder);
  const auto other = [](const Parameter& p) { return !is_adapter(p); };
  bool beside = false;
  for (const auto& parameter : tunable.parameters().all()) beside = beside || other(*parameter);
  if (beside) write_parameters(folder / "non_lora_trainables.safetensors", tunable, "", other);
  write_parameters(folder / "adapter_model.safetensors", tunable, "base_model.model.", is_adapter);
  write_file(folder / "adapter_config.json", adapter_config(tunable, base).dump(2) + "\n");
}

void write_projector(const fs::path& folder, const Tunable& tunable, const Checkpoint&) {
  fs::create_directories(folder);
  write_parameters(folder / "mm_projector.safetensors", tunable, "",
                   [](const Parameter& p) { return p.group == ParameterGroup::kProjector; });
}

void write_outcome(const fs::path& folder, const Tunable& tunable, const Checkpoint& base,
                   const ModelOutOptions& options) {
  const TuneOptions& tune = tunable.options();
  if (tune.stage == Stage::kAlign && !tune.tune_vision_tower) return write_projector(folder, tunable, base);
  if (tune.stage == Stage::kTune && tune.kind == TuneKind::kLora) return write_adapter(folder, tunable, base);
  write_model(folder, tunable, base, options);
}

}  // namespace striate
