// Healing: short tuning of a pruned model. What is trained, and which of a teacher's layers is which of the model's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "striate/edit/history.h"
#include "striate/model/load.h"
#include "striate/train/training_request.h"

namespace striate {

// Up to this share of the layers removed, training the projector alone is enough; beyond it layers must be tuned as
// well (reported for LLaVA-1.5-7B and Bunny-3B by arXiv 2507.20749).
inline constexpr double kProjectorAloneShare = 0.2;

// A pruned model, and perhaps the model it was cut from.
struct HealingPair {
  LayerSet model;  // layer_origin() of it
  // In the order of the model's layers: the teacher's layer for each; empty without a teacher.
  std::vector<std::int64_t> teacher_layers;

  std::int64_t layers() const { return model.count(); }
  // Of the layers the model began with.
  double removed_share() const {
    return static_cast<double>(model.depth() - layers()) / static_cast<double>(model.depth());
  }
};

// Reads both folders' histories. `teacher` may be null. Throws InvalidInput when the teacher lacks a layer that the
// model kept, or no record says which layers the model kept and the depths differ; CorruptData for damaged records.
HealingPair healing_pair(const Checkpoint& model, const Checkpoint* teacher);
// The same of models that are not open yet; throws what opening throws.
HealingPair healing_pair(const ModelPaths& model, const std::optional<ModelPaths>& teacher);

// What healing tunes.
enum class HealTune {
  kAuto,       // the projector; layers as well where more than kProjectorAloneShare of them is gone, or some are named
  kProjector,  // the projector alone
  kLora,       // adapters on layers, and the projector
  kFull,       // all weights of layers, and the projector
};

struct HealingRequest {
  ModelPaths model;                   // a whole model's folder
  std::optional<ModelPaths> teacher;  // the model before it was pruned
  HealTune tune = HealTune::kAuto;
  std::string layers;  // by the pruned model's numbers; empty or "from-run": the region of the tuning before
};

struct HealingPlan {
  HealTune tune = HealTune::kProjector;  // never kAuto
  std::string layers;                    // the region; empty for the projector alone
  HealingPair pair;
  std::string warning;  // that no removed layers are recorded, or what is likely to heal more; empty: neither
};

// `request`, whose stage is kTune, as a run that heals as `plan` says. Its rates are the caller's to choose.
TrainingRequest healing_run(TrainingRequest request, const HealingPlan& plan);

// Reads headers and histories alone. Throws InvalidInput without a model, for layers named beside the projector alone,
// where layers are to be tuned and neither named nor recorded, and as healing_pair() does.
HealingPlan plan_healing(const HealingRequest& request);

}  // namespace striate
