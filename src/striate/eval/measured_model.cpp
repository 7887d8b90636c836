#include "striate/eval/measured_model.h"

#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/edit/recorded_region.h"
#include "striate/model/picture_settings.h"
#include "striate/region/layer_grammar.h"

namespace striate {
namespace {

std::string folder_name(const std::filesystem::path& folder) {
  const std::filesystem::path whole = full_path(folder);
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace

std::string measured_name(const Checkpoint& model) {
  const std::string name = folder_name(model.folder);
  return model.adapter ? cat(name, " with ", folder_name(*model.adapter)) : name;
}

std::optional<LayerSet> region_of_setting(const std::string& setting, const Checkpoint& model) {
  const DecoderConfig& decoder = model.config.decoder;
  if (setting == "none") return LayerSet(decoder.layers, {});
  if (setting != "from-run") return parse_layer_set(setting, decoder);
  for (const auto& folder : {model.adapter, std::optional(model.folder)}) {
    if (!folder) continue;
    if (auto region = recorded_region(*folder, decoder.layers)) return region->named(setting);
  }
  return std::nullopt;
}

EvaluationOptions data_for_model(const EvaluationData& data, const Checkpoint& model) {
  EvaluationOptions options;
  static_cast<EvaluationData&>(options) = data;
  options.conversation = default_template(model.config.family);
  if (model.config.vision) options.preprocess = preprocess_config(model.config, model.folder);
  return options;
}

}  // namespace striate
