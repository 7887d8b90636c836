#include "striate/train/healing.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/edit/recorded_region.h"

namespace striate {
namespace {

LayerSet origin_of(const Checkpoint& checkpoint) {
  return layer_origin(checkpoint.folder, checkpoint.config.decoder.layers);
}

// The region to tune, by the pruned model's numbers.
std::string region_to_heal(const HealingRequest& request, const HealingPair& pair) {
  const std::string& asked = request.layers;
  if (!asked.empty() && asked != "from-run") return asked;
  const std::filesystem::path& folder = *request.model.model;
  if (const auto region = recorded_region(folder, pair.layers())) return region->list();
  throw invalid_input(asked.empty() ? std::string("no `layers` were given, and the model records no region")
                                    : cat("`layers` from-run: ", folder.string(), " records no region"),
                      "give layers by the pruned model's numbers, e.g. `layers` uniform:25%, or tune only the "
                      "projector: `tune` projector");
}

}  // namespace

HealingPair healing_pair(const Checkpoint& model, const Checkpoint* teacher) {
  HealingPair pair{origin_of(model), {}};
  if (teacher == nullptr) return pair;
  const LayerSet theirs = origin_of(*teacher);
  if (theirs.depth() != pair.model.depth()) {
    throw invalid_input(
        cat("`teacher` began with ", theirs.depth(), " layers, but `model` began with ", pair.model.depth()),
        "the teacher must be the model that striate prune made this one from; the striate.json of this one lists its "
        "layers");
  }
  for (const std::int64_t layer : pair.model) {
    const auto found = std::lower_bound(theirs.begin(), theirs.end(), layer);
    if (found == theirs.end() || *found != layer) {
      throw invalid_input(cat("`teacher` has no layer ", layer, ", but `model` has it"),
                          "the teacher must be a model that this one was pruned from");
    }
    pair.teacher_layers.push_back(found - theirs.begin());
  }
  return pair;
}

HealingPair healing_pair(const ModelPaths& model, const std::optional<ModelPaths>& teacher) {
  const Checkpoint checkpoint = open_checkpoint(model);
  if (!teacher) return healing_pair(checkpoint, nullptr);
  const Checkpoint whole = open_checkpoint(*teacher);
  return healing_pair(checkpoint, &whole);
}

HealingPlan plan_healing(const HealingRequest& request) {
  if (!request.model.model) throw invalid_input("no model was given", "give the pruned model's folder: `model` DIR");
  HealingPlan plan{HealTune::kProjector, {}, healing_pair(request.model, request.teacher), {}};
  if (plan.pair.layers() == plan.pair.model.depth()) {
    plan.warning = cat(request.model.model->string(), " records no removed layers: it is tuned like any other model");
  }
  const bool many_are_gone = plan.pair.removed_share() > kProjectorAloneShare;
  plan.tune = request.tune;
  if (request.tune == HealTune::kAuto) {
    plan.tune = request.layers.empty() && !many_are_gone ? HealTune::kProjector : HealTune::kLora;
  }
  if (plan.tune != HealTune::kProjector) {
    plan.layers = region_to_heal(request, plan.pair);
    return plan;
  }
  if (!request.layers.empty()) {
    throw invalid_input("`layers` and `tune` projector exclude each other",
                        "`tune` projector changes no layer: leave out `layers`, or give `tune` lora");
  }
  if (many_are_gone) {
    const std::int64_t removed = plan.pair.model.depth() - plan.pair.layers();
    plan.warning = cat(removed, " of ", plan.pair.model.depth(), removed == 1 ? " layers was" : " layers were",
                       " removed, more than a fifth: `tune` lora is likely to recover more");
  }
  return plan;
}

TrainingRequest healing_run(TrainingRequest request, const HealingPlan& plan) {
  request.command = "heal";
  request.tune.kind = plan.tune == HealTune::kLora ? TuneKind::kLora : TuneKind::kFull;
  request.layers = plan.layers;
  request.projector_alone = plan.tune == HealTune::kProjector;
  return request;
}

}  // namespace striate
