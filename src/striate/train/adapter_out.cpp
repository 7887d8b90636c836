#include "striate/train/adapter_out.h"

#include <functional>

#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/edit/adapter_folder.h"
#include "striate/files/weight_file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

bool is_adapter(const Parameter& parameter) {
  return parameter.group == ParameterGroup::kAdapter;
}

at::Tensor on_host(const at::Tensor& tensor) {
  return tensor.cpu().contiguous();
}

void write_parameters(const OutputPath& path, const Tunable& tunable, const std::string& prefix,
                      const std::function<bool(const Parameter&)>& wanted) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& parameter : tunable.parameters().all()) {
    if (!wanted(*parameter)) continue;
    tensors.emplace_back(prefix + file_name(parameter->name, tunable.model().config().files().live_naming),
                         on_host(parameter->value));
  }
  write_safetensors(path, tensors);
}

AdapterTargets targets_of(const Tunable& tunable) {
  AdapterTargets targets;
  for (const auto& parameter : tunable.parameters().all()) {
    if (!is_adapter(*parameter)) continue;
    const auto [layer, rest] = split_layer_name(parameter->name).value();
    targets.emplace(layer, rest.substr(0, rest.find(".lora_")));
  }
  return targets;
}

}  // namespace

std::string target_pattern(const Tunable& tunable) {
  return adapter_target_pattern(targets_of(tunable), tunable.model().config().family);
}

void write_adapter(const fs::path& folder, const Tunable& tunable, const Checkpoint& base) {
  const auto other = [](const Parameter& p) { return !is_adapter(p); };
  bool beside = false;
  for (const auto& parameter : tunable.parameters().all()) beside = beside || other(*parameter);
  if (beside) write_parameters(OutputPath::inside(folder, "non_lora_trainables.safetensors"), tunable, "", other);
  write_parameters(OutputPath::inside(folder, "adapter_model.safetensors"), tunable, "base_model.model.", is_adapter);
  const LoraOptions& lora = tunable.options().lora;
  const AdapterSettings settings{lora.rank, lora.alpha_value(), lora.dropout};
  const nlohmann::json config =
      adapter_config(settings, targets_of(tunable), tunable.model().config().family, base.folder);
  write_file(OutputPath::inside(folder, "adapter_config.json"), config.dump(2) + "\n");
}

void write_projector(const fs::path& folder, const Tunable& tunable, const Checkpoint&) {
  write_parameters(OutputPath::inside(folder, "mm_projector.safetensors"), tunable, "",
                   [](const Parameter& p) { return p.group == ParameterGroup::kProjector; });
}

OutcomeKind outcome_kind(const TuneMethod& tune) {
  // A file of a projector has no place for a vision tower.
  if (tune.stage == Stage::kAlign && !tune.tune_vision_tower) return OutcomeKind::kProjector;
  if (tune.stage == Stage::kTune && tune.kind == TuneKind::kLora) return OutcomeKind::kAdapter;
  return OutcomeKind::kModel;
}

bool holds_outcome(const fs::path& folder, OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kAdapter:
      return is_file(folder / "adapter_config.json") && is_file(folder / "adapter_model.safetensors");
    case OutcomeKind::kProjector:
      return is_file(folder / "mm_projector.safetensors");
    case OutcomeKind::kModel:
      break;
  }
  const bool weights = is_file(folder / "model.safetensors") || is_file(folder / "model.safetensors.index.json");
  return weights && is_file(folder / "config.json");
}

void write_outcome(const fs::path& folder, const Tunable& tunable, const Checkpoint& base,
                   const ModelOutOptions& options) {
  switch (outcome_kind(tunable.options())) {
    case OutcomeKind::kAdapter:
      return write_adapter(folder, tunable, base);
    case OutcomeKind::kProjector:
      return write_projector(folder, tunable, base);
    case OutcomeKind::kModel:
      return write_model(folder, tunable, base, options);
  }
}

}  // namespace striate
