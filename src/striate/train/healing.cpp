#include "striate/train/healing.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

LayerOrigin origin_of(const ModelPaths& paths) {
  const Checkpoint checkpoint = open_checkpoint(paths);
  return layer_origin(earlier_history(checkpoint.folder), checkpoint.config.decoder.layers,
                      (checkpoint.folder / "striate.json").string());
}

}  // namespace

HealingPair healing_pair(const ModelPaths& model, const std::optional<ModelPaths>& teacher) {
  HealingPair pair{origin_of(model), {}};
  if (!teacher) return pair;
  const LayerOrigin theirs = origin_of(*teacher);
  if (theirs.depth != pair.model.depth) {
    throw invalid_input(
        cat("--teacher: a model that began with ", theirs.depth, " layers, --model with ", pair.model.depth),
        "the teacher is the model that this one was pruned from by striate prune, whose striate.json "
        "says which layers stayed");
  }
  for (const std::int64_t layer : pair.model.original) {
    const auto found = std::lower_bound(theirs.original.begin(), theirs.original.end(), layer);
    if (found == theirs.original.end() || *found != layer) {
      throw invalid_input(cat("--teacher: it has lost layer ", layer, ", which --model has"),
                          "the teacher is a model that this one was pruned from");
    }
    pair.teacher_layers.push_back(found - theirs.original.begin());
  }
  return pair;
}

}  // namespace striate
