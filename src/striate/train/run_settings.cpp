#include "striate/train/run_settings.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/region/layer_set.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// Names, shapes and types of all tensors: what tells one model from another without reading its weights.
std::string model_digest(const Checkpoint& checkpoint) {
  Sha256 hash;
  for (const auto& [name, entry] : checkpoint.weights.entries()) {
    std::vector<std::string> sizes;
    for (const std::int64_t size : entry.info->shape) sizes.push_back(std::to_string(size));
    const std::string line = cat(name, " ", c10::toString(entry.info->dtype), " ", join(sizes, "x"), "\n");
    hash.add(std::as_bytes(std::span(line.data(), line.size())));
  }
  return hash.finish().substr(0, 16);
}
}  // namespace

std::string stage_name(Stage stage) {
  return stage == Stage::kAlign ? "align" : stage == Stage::kTune ? "tune" : "pretrain";
}

std::string kind_name(TuneKind kind) {
  return kind == TuneKind::kLora ? "lora" : "full";
}

void check_request(const TrainingRequest& r) {
  if (r.model.adapter) {
    throw invalid_input("--adapter: training starts from a model without one",
                        "merge the adapter into the model first, or train a new one from the base");
  }
  if (r.data.data.empty()) throw invalid_input("no data was given", "give the LLaVA JSON to train on: --data FILE");
  if (r.tune.stage == Stage::kTune && r.layers.empty() && !r.projector_alone) {
    throw invalid_input("--layers: which layers may training change?",
                        "the paper trains a quarter of them: --layers uniform:25%; every layer: --layers all");
  }
  if (r.tune.stage != Stage::kTune && !r.layers.empty()) {
    throw invalid_input(cat("--layers with --stage ", stage_name(r.tune.stage)),
                        r.tune.stage == Stage::kAlign ? "aligning trains the projector alone: leave --layers out"
                                                      : "pretraining trains the whole decoder: leave --layers out");
  }
  if (r.steps && *r.steps < 1) throw invalid_input(cat("--steps ", *r.steps), "give 1 or more");
  if (!(r.epochs > 0)) throw invalid_input(cat("--epochs ", r.epochs), "give a number above 0");
  if (!(r.warmup_ratio >= 0 && r.warmup_ratio <= 1)) {
    throw invalid_input(cat("--warmup-ratio ", r.warmup_ratio), "give a share of the run, from 0 to 1");
  }
  for (const double rate : {r.rates.projector, r.rates.adapter, r.rates.decoder, r.rates.vision_tower}) {
    if (!(rate >= 0) || std::isinf(rate)) throw invalid_input(cat("learning rate ", rate), "give a number from 0 up");
  }
}

std::int64_t total_steps(const TrainingRequest& r, const StepSourceOptions& data, const StepSource& source) {
  if (r.steps) return *r.steps;
  // Steps go on from one epoch into the next, so that only the end of the last epoch is rounded up.
  const double steps =
      data.batch > 0 ? r.epochs * static_cast<double>(source.samples_per_epoch()) / static_cast<double>(data.batch)
                     : r.epochs * static_cast<double>(source.steps_per_epoch());
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(steps - 1e-9)));
}

nlohmann::json settings_of(const TrainingRequest& r, const TuneOptions& tune, const StepSourceOptions& data,
                           const Schedule& schedule, const Checkpoint& checkpoint, const Checkpoint* teacher) {
  nlohmann::json s = {
      {"model", model_digest(checkpoint)},
      {"precision", compute_name(r.placement.compute)},
      {"device", r.placement.device.is_cpu() ? "cpu" : "cuda"},
      {"stage", stage_name(tune.stage)},
      {"freeze-projector", tune.freeze_projector},
      {"tune-vision-tower", tune.tune_vision_tower},
      {"seed", tune.seed},
      {"data", cat(data.data.filename().string(), ", ", fs::file_size(data.data), " bytes")},
      {"template", template_name(data.conversation)},
      {"shuffle", data.shuffle},
      {"batch", data.batch},
      {"tokens-per-step", data.tokens_per_step},
      {"tokens-per-stream", data.tokens_per_stream},
      {"max-tokens", data.max_tokens},
      {"on-bad-sample", data.on_bad_sample == OnBadSample::kStop ? "stop" : "skip"},
      {"max-bad-share", data.max_bad_share},
      {"lr", tune.stage == Stage::kTune && tune.kind == TuneKind::kLora ? r.rates.adapter : r.rates.decoder},
      {"projector-lr", r.rates.projector},
      {"vision-tower-lr", r.rates.vision_tower},
      {"schedule", schedule_name(schedule.kind)},
      {"warmup-steps", schedule.warmup_steps},
      {"weight-decay", r.adamw.weight_decay},
      {"beta1", r.adamw.beta1},
      {"beta2", r.adamw.beta2},
      {"adam-eps", r.adamw.epsilon},
      {"max-grad-norm", r.max_gradient_norm}};
  if (teacher != nullptr) {
    s["teacher"] = model_digest(*teacher);
    s["hidden-weight"] = r.teacher->hidden_weight;
    s["kl-weight"] = r.teacher->kl_weight;
    s["temperature"] = r.teacher->temperature;
    s["hidden-layers"] = r.teacher->hidden_layers;
  }
  // A constant rate does not look ahead: such a run may be made longer.
  if (schedule.kind != ScheduleKind::kConstant) s["steps"] = schedule.total_steps;
  if (tune.stage == Stage::kTune) {
    s["tune"] = kind_name(tune.kind);
    s["layers"] = layer_list_text(tune.layers);
    if (tune.kind == TuneKind::kLora) {
      s["lora-r"] = tune.lora.rank;
      s["lora-alpha"] = tune.lora.alpha;
      s["lora-dropout"] = tune.lora.dropout;
      s["lora-targets"] = tune.lora.targets;
    }
  }
  return s;
}

}  // namespace striate
