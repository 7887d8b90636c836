#include "striate/eval/prune_model.h"

#include <c10/core/ScalarType.h>

#include <cmath>
#include <utility>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/edit/adapter_folder.h"
#include "striate/edit/history.h"
#include "striate/model/adapter_base.h"
#include "striate/region/layer_grammar.h"
#include "striate/version.h"

namespace striate {
namespace {

const Placement kPrunedOn{at::kCPU, Compute::kFloat32};

void check_prune_request(const PruneRequest& r) {
  const bool listed = !r.layers.empty();
  if (listed == r.remove.has_value()) {
    throw invalid_input(listed ? "`remove` and `layers` exclude each other" : "no layers to remove were given",
                        "give their number with `remove` N, or the layers themselves with `layers` LIST");
  }
  if (r.remove && *r.remove < 1) {
    throw invalid_input(cat("`remove` ", *r.remove, " is less than 1"), "give 1 or more");
  }
  if (r.choice.metric == "list" && !listed) {
    throw invalid_input("`metric` list needs a list of layers", "give the layers to remove: `layers` LIST");
  }
  if (listed && (r.choice.contiguous || r.choice.spaced || r.choice.iterative || r.choice.scores)) {
    throw invalid_input("`layers` excludes `scores`, `contiguous`, `spaced` and `iterative`",
                        "list the layers with `layers`, or let the other settings choose them");
  }
  if (r.keep_adapter && !r.model.adapter) {
    throw invalid_input("`keep_adapter` needs an adapter", "give it with `adapter` DIR");
  }
  if (r.output.out.empty()) {
    throw invalid_input("no `out` folder was given", "give the folder to create: `out` DIR");
  }
}

ModelSize size_of(const Checkpoint& source, const ModelChange& change) {
  ModelSize size;
  for (const PlannedTensor& tensor : planned_tensors(source, change)) {
    std::int64_t count = 1;
    for (const std::int64_t n : tensor.shape) count *= n;
    size.parameters += count;
    size.bytes += static_cast<std::uint64_t>(count) * c10::elementSize(tensor.dtype);
  }
  return size;
}

void choose_layers(const PruneRequest& request, const Checkpoint& source, PruneResult& result) {
  if (!request.layers.empty()) {
    PruneCriteria listed;
    listed.protected_layers = result.region;
    result.removed = listed_layers_to_prune(listed, parse_layer_set(request.layers, source.config.decoder));
    result.scores = "none: layers were listed";
    return;
  }
  const LayerChooser chooser =
      make_chooser(request.choice, request.choice.scores, source, result.region, *request.remove,
                   [&] { return std::shared_ptr<const Lvlm>(load_model(source, request.choice.placement)); });
  result.removed = chooser.choose(*request.remove);
  result.scores = chooser.scores;
}

nlohmann::json removed_json(const std::vector<PrunedLayer>& removed) {
  nlohmann::json out = nlohmann::json::array();
  for (const PrunedLayer& p : removed) {
    out.push_back({{"layer", p.layer}, {"score", std::isfinite(p.score) ? nlohmann::json(p.score) : nullptr}});
  }
  return out;
}

// The adapter by the numbers of the pruned model at `written`, which it is beside.
void write_kept_adapter(const PruneRequest& request, const Checkpoint& source, const ModelChange& change,
                        const ModelPaths& written) {
  AdapterOutOptions options;
  options.layers = new_layer_numbers(change.keep);
  options.record = model_history("striate prune", STRIATE_VERSION, source, change);
  options.record->set_base_weights(base_weights(written));
  options.record->set_base(request.output.out);
  write_adapter_folder(*written.adapter, AdapterFile(*source.adapter), source.config.family,
                       full_path(request.output.out), options);
}

// Writes the model into `folder`, and the adapter beside it where that is asked for. Returns how the two are opened.
ModelPaths write_pruned(const std::filesystem::path& folder, const PruneRequest& request, const Checkpoint& source,
                        PruneResult& result) {
  ModelChange change;
  change.keep = result.gone().complement();
  ModelPaths base_paths = request.model;
  if (request.keep_adapter) base_paths.adapter.reset();
  const Checkpoint base = open_checkpoint(base_paths);
  result.before = size_of(base, {});
  result.after = size_of(base, change);
  ModelRecord record = model_history("striate prune", STRIATE_VERSION, base, change);
  record.note("pruning", prune_choice_json(request, result));
  result.written = write_model_folder(folder, base, change, request.output.folder_options(std::move(record)));
  ModelPaths written;
  written.model = folder;
  if (request.keep_adapter) {
    written.adapter = folder / kKeptAdapterFolder;
    write_kept_adapter(request, source, change, written);
  }
  return written;
}

}  // namespace

nlohmann::json prune_choice_json(const PruneRequest& request, const PruneResult& result) {
  const LayerChoice& choice = request.choice;
  return {{"region", choice.region == "none" ? nlohmann::json(nullptr) : result.region.record()},
          {"metric", request.layers.empty() ? choice.metric : "list"},
          {"contiguous", choice.contiguous},
          {"spaced", choice.spaced},
          {"iterative", choice.iterative},
          {"scores", result.scores},
          {"removed", removed_json(result.removed)}};
}

PruneResult prune_model(const PruneRequest& request) {
  check_prune_request(request);
  const Checkpoint source = open_checkpoint(request.model);
  AtomicFolder folder(free_destination(request.output.out));  // what cannot be made is found out before any scoring
  PruneResult result{source.config.family, region_to_keep(request.choice, source), {}, {}, {}, {}, {}, std::nullopt};
  choose_layers(request, source, result);
  const ModelPaths written = write_pruned(folder.path(), request, source, result);
  if (request.output.verify) {
    const Lvlm pruned = load_model(source, kPrunedOn)->without_layers(result.gone());
    const std::vector<ProbeInput> inputs = probe_inputs(pruned.config());
    result.check =
        check_export(inputs, probe_logits(pruned, inputs), written, result.written.rounding, request.output.out);
  }
  folder.commit();
  return result;
}

}  // namespace striate
