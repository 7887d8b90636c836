#include "striate/edit/revert_model.h"

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/edit/adapter_folder.h"
#include "striate/edit/history.h"
#include "striate/edit/revert.h"
#include "striate/model/adapter_base.h"
#include "striate/region/layer_grammar.h"
#include "striate/version.h"

namespace striate {
namespace {

const Placement kComparedOn{at::kCPU, Compute::kFloat32};

// A run's folder is the adapter itself.
bool is_adapter_folder(const std::filesystem::path& folder) {
  return path_exists(folder / "adapter_config.json") && !path_exists(folder / "config.json");
}

nlohmann::json reverted_json(const RevertRequest& request, const LayerSet& layers) {
  nlohmann::json out = layers.record();
  if (request.base) out["base"] = full_path(*request.base).string();
  return out;
}

// Layers of the adapter that stay, written as an adapter again.
RevertResult without_adapters(const RevertRequest& request, const ModelPaths& paths) {
  AtomicFolder folder(free_destination(request.output.out));
  const Checkpoint source = open_checkpoint(paths);
  ModelPaths base_paths = paths;
  base_paths.adapter.reset();
  const Checkpoint base = open_checkpoint(base_paths);
  const AdapterFile adapter(*paths.adapter);
  RevertResult result{
      source.config.family, parse_layer_set(request.layers, source.config.decoder), std::nullopt, {}, std::nullopt};
  AdapterOutOptions options;
  options.layers = adapter_reversion(adapter, result.layers);
  options.dtype = request.output.dtype;
  options.record = model_history("striate revert", STRIATE_VERSION, source, {});
  options.record->note("reverted", reverted_json(request, result.layers));
  options.record->set_base_weights(base_weights(base));
  write_adapter_folder(folder.path(), adapter, source.config.family, source.folder, options);
  result.adapter_layers = AdapterFile(folder.path()).layers();
  if (request.output.verify) {
    const std::vector<ProbeInput> inputs = probe_inputs(source.config);
    const auto live = load_model(source, kComparedOn);
    std::map<std::int64_t, std::int64_t> places;
    for (const std::int64_t layer : result.layers) places.emplace(layer, layer);
    revert_layers(*live, base, places);
    ModelPaths written = paths;
    written.adapter = folder.path();
    const double rounding = options.dtype ? rounding_of(*options.dtype) : 0;
    result.check = check_export(inputs, probe_logits(*live, inputs), written, rounding, request.output.out);
  }
  folder.commit();
  return result;
}

RevertResult with_base_layers(const RevertRequest& request, const ModelPaths& paths) {
  AtomicFolder folder(free_destination(request.output.out));
  if (!request.base) {
    throw invalid_input("striate revert needs the model as it was before tuning",
                        "give it with `base` DIR (its language model alone is enough)");
  }
  const Checkpoint tuned = open_checkpoint(paths);
  ModelPaths base_paths;
  base_paths.model = *request.base;
  base_paths.vision_tower = paths.vision_tower;
  const Checkpoint base = open_checkpoint(base_paths);
  RevertResult result{
      tuned.config.family, parse_layer_set(request.layers, tuned.config.decoder), std::nullopt, {}, std::nullopt};
  const ModelChange change = reversion(tuned, base, result.layers);
  ModelRecord record = model_history("striate revert", STRIATE_VERSION, tuned, change);
  record.note("reverted", reverted_json(request, result.layers));
  result.written = write_model_folder(folder.path(), tuned, change, request.output.folder_options(std::move(record)));
  if (request.output.verify) {
    const std::vector<ProbeInput> inputs = probe_inputs(tuned.config);
    const auto live = load_model(tuned, kComparedOn);
    revert_layers(*live, base, change.from_donor);
    ModelPaths written;
    written.model = folder.path();
    result.check =
        check_export(inputs, probe_logits(*live, inputs), written, result.written->rounding, request.output.out);
  }
  folder.commit();
  return result;
}

}  // namespace

bool reverts_adapter(const ModelPaths& model) {
  return model.adapter || (model.model && is_adapter_folder(*model.model));
}

RevertResult revert_model(const RevertRequest& request) {
  ModelPaths paths = request.model;
  if (!paths.adapter && reverts_adapter(paths)) {
    paths.adapter = paths.model;
    paths.model = request.base;  // which the adapter is on
    if (!paths.model) {
      throw invalid_input(cat(paths.adapter->string(), " is an adapter, and the model it was tuned on was not given"),
                          "give it with `base` DIR");
    }
  }
  return paths.adapter ? without_adapters(request, paths) : with_base_layers(request, paths);
}

}  // namespace striate
