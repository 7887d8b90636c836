// Worlds, trainings and what follows from them.
#include "striate/study/cell_work.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/mini/dataset.h"
#include "striate/model/decoder_layer.h"
#include "striate/model/open_configuration.h"
#include "striate/train/healing.h"
#include "striate/train/recipe.h"
#include "striate/train/trainer.h"
#include "striate/train/training_run.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

template <typename Value, typename Given>
void set(Value& value, const std::optional<Given>& given) {
  if (given) value = *given;
}

// The linears of a module set by their last names; none: all.
std::vector<std::string> targets_of(const std::string& modules, const DecoderConfig& decoder) {
  std::vector<std::string> targets;
  if (modules == "all") return targets;
  for (const LinearShape& linear : decoder_linears(decoder)) {
    const std::string name = linear.name;
    const std::string last = name.substr(name.rfind('.') + 1);
    const bool attention = name.starts_with("self_attn.");
    const bool gate_up = !attention && last.find("down") == std::string::npos;
    if (modules == "attention" ? attention : gate_up) targets.push_back(last);
  }
  return targets;
}

}  // namespace

std::optional<TemplateKind> CellWork::conversation() const {
  if (model().conversation.empty()) return std::nullopt;
  return parse_template(model().conversation);
}

Placement CellWork::placement() const {
  const StudyDefinition& asked = study.definition;
  const bool has_cuda = at::hasCUDA();
  if (asked.device == "cuda" && !has_cuda) {
    throw invalid_input(cat(asked.file.string(), ": device = \"cuda\", and there is no CUDA device"),
                        "write device = \"cpu\" under [compute]");
  }
  Placement placement;
  if (asked.device != "cpu" && has_cuda) placement.device = at::Device(at::kCUDA, 0);
  at::set_num_threads(asked.threads);
  placement.compute = best_compute(placement.device);
  if (asked.precision == "fp32") placement.compute = Compute::kFloat32;
  if (asked.precision == "bf16") placement.compute = Compute::kBFloat16;
  return placement;
}

CellRecord CellWork::record(std::size_t other) const {
  std::optional<CellRecord> record = study.folder.record(study.cells[other]);
  if (!record) throw internal_error(cat(cell.id, " reads ", study.cells[other].id, ", which is not done"));
  return *std::move(record);
}

fs::path CellWork::scores() const {
  return study.folder.cell(study.cells[cell.scores.value()]) / "scores.json";
}

TrainingRequest CellWork::training(const Recipe& recipe, Stage stage, TuneKind kind) const {
  TrainingRequest r;
  r.model = study.origin(cell);
  r.placement = placement();
  if (stage != Stage::kAlign) r.conversation = conversation();
  if (!recipe.conversation.empty()) r.conversation = parse_template(recipe.conversation);
  r.tune.stage = stage;
  r.tune.kind = kind;
  set(r.tune.lora.rank, recipe.lora_rank);
  r.tune.lora.alpha = recipe.lora_alpha;
  set(r.tune.lora.dropout, recipe.lora_dropout);
  const bool align = stage == Stage::kAlign;
  r.data.data = study.path(align ? data().align : data().train);
  r.data.images = study.path(align ? data().align_images : data().images);
  r.data.batch = recipe.tokens_per_step ? 0 : recipe.batch.value_or(recipe_batch(stage));
  set(r.data.tokens_per_step, recipe.tokens_per_step);
  set(r.data.max_tokens, recipe.max_tokens);
  r.data.tokens_per_stream = std::max(recipe.tokens_per_stream.value_or(r.data.tokens_per_stream), r.data.max_tokens);
  r.data.feature_cache_folder = study.feature_cache();
  r.data.threads = 1;
  r.steps = recipe.steps;
  set(r.epochs, recipe.epochs);
  r.rates = recipe_rates(stage, kind);
  set(r.rates.projector, recipe.projector_rate);
  if (recipe.learning_rate && stage == Stage::kTune) {
    (kind == TuneKind::kLora ? r.rates.adapter : r.rates.decoder) = *recipe.learning_rate;
  }
  r.schedule = recipe.schedule.empty() ? ScheduleKind::kCosine : parse_schedule(recipe.schedule);
  set(r.warmup_ratio, recipe.warmup_ratio);
  set(r.adamw.weight_decay, recipe.weight_decay);
  set(r.adamw.beta2, recipe.beta2);
  set(r.max_gradient_norm, recipe.max_gradient_norm);
  r.save_every = recipe.save_every;
  r.keep = 1;
  r.out = out();
  r.resume = path_exists(r.out);
  r.arguments = {{"study", study.definition.name}, {"cell", cell.id}};
  return r;
}

json CellWork::train(const TrainingRequest& request) const {
  TrainingObserver seen;
  seen.notes = observer.notes;
  std::int64_t steps = 0;
  seen.on_begin = [&](const TrainingPlan& plan) {
    steps = plan.steps;
    if (observer.progress) observer.progress(plan.first_step, plan.steps);
  };
  seen.on_step = [&](const StepMetrics& m) {
    if (observer.progress) observer.progress(m.step, steps);
  };
  const TrainingResult result = run_training(request, Ranks{}, seen, stop);
  if (result.outcome.stop_reason != 0) return nullptr;
  std::error_code failed;
  fs::remove_all(request.out / "checkpoints", failed);
  return {{"steps", result.outcome.state.step},
          {"tokens", result.outcome.state.tokens},
          {"samples", result.outcome.state.samples},
          {"trained_parameters", result.plan.parameters},
          {"layers", result.plan.layers.numbers()},
          {"loss", std::isfinite(result.outcome.loss) ? json(result.outcome.loss) : json()}};
}

std::vector<std::int64_t> tuned_layers(const CellWork& work) {
  const Cell* tune = &work.cell;
  while (tune->kind != CellKind::kTune) tune = &work.study.cells[tune->subject.value()];
  const std::optional<CellRecord> record = work.study.folder.record(*tune);
  if (!record) throw internal_error(cat(work.cell.id, " reads ", tune->id, ", which is not done"));
  return record->result.at("layers").get<std::vector<std::int64_t>>();
}

json render_world(const CellWork& work) {
  const WorldDefinition& world = *work.data().world;
  mini::DatasetOptions options;
  options.families = mini::parse_families(world.families);
  options.text_families =
      world.text_families == "none" ? std::vector<mini::Family>() : mini::parse_families(world.text_families);
  options.train = world.train;
  options.held_out = world.held_out;
  options.test = world.test;
  options.questions = world.questions;
  options.held_out_questions = world.held_out_questions;
  options.text = world.text;
  options.text_family_share = world.text_family_share;
  options.seed = world.seed;
  options.world.grid = world.grid;
  options.world.max_objects = world.max_objects;
  options.world.label_share = world.label_share;
  options.world.small_objects = !world.large_only;
  options.world.digit_labels = world.digit_labels;
  const mini::DatasetReport report = mini::write_dataset(options, work.out(), work.observer.progress);
  return {{"pictures", report.train_pictures + report.held_out_pictures + report.test_pictures},
          {"bytes", report.bytes}};
}

json align_projector(const CellWork& work) {
  TrainingRequest request = work.training(*work.study.definition.align, Stage::kAlign, TuneKind::kLora);
  request.tune.seed = work.cell.seed;
  return work.train(request);
}

json tune_region(const CellWork& work) {
  const StudyDefinition& study = work.study.definition;
  const Tuning& tuning = *work.cell.tuning;
  Recipe recipe = study.tune;
  recipe.learning_rate =
      work.cell.choice ? work.record(*work.cell.choice).result.at("learning_rate").get<double>() : tuning.learning_rate;
  TrainingRequest request = work.training(recipe, Stage::kTune, study.full ? TuneKind::kFull : TuneKind::kLora);
  request.tune.seed = tuning.seed;
  request.data.fraction = tuning.data_fraction;
  request.layers = layer_text(tuning, work.cell.size, work.cell.scores ? work.scores().string() : std::string());
  request.tune.lora.targets = targets_of(tuning.modules, open_configuration(request.model).config.decoder);
  json result;
  try {
    result = work.train(request);
  } catch (const DivergedError& error) {
    if (work.cell.reported) throw;
    return {{kDiverged, error.what()}};
  }
  if (!result.is_null()) {
    result["learning_rate"] = *recipe.learning_rate;
    result["layers_text"] = layer_text(tuning, work.cell.size);
  }
  return result;
}

namespace {

// The number by which candidates are compared, the same of all of them. Benchmarks count as in a study's means: one
// whose own score goes to 2000 weighs no more than a percentage. Where an earlier Striate wrote a score alone, all are
// compared by their scores.
const char* judged_by(const CellWork& work) {
  if (work.study.definition.choice->by_loss) return "loss";
  const bool has_means = std::ranges::none_of(work.cell.judged, [&](std::size_t judged) {
    const json result = work.record(judged).result;
    return result.contains("score") && !result.contains(kQuestionMean);
  });
  return has_means ? kQuestionMean : "score";
}

// The mean over what judged candidate `i`; NaN where it diverged, or one of them has no number.
double judgement(const CellWork& work, std::size_t i, const char* key) {
  const Cell& cell = work.cell;
  const std::size_t each = cell.judged.size() / cell.candidates.size();
  double sum = 0;
  for (std::size_t k = 0; k < each; ++k) {
    const json value = work.record(cell.judged[i * each + k]).result.value(key, json());
    sum += value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
  }
  return sum / static_cast<double>(each);
}

}  // namespace

json choose_rate(const CellWork& work) {
  const Cell& cell = work.cell;
  const bool by_loss = work.study.definition.choice->by_loss;
  const char* key = judged_by(work);
  json tried = json::array();
  std::optional<std::size_t> best;
  double highest = 0;
  for (std::size_t i = 0; i < cell.candidates.size(); ++i) {
    const double mean = judgement(work, i, key), height = by_loss ? -mean : mean;
    if (std::isfinite(mean) && (!best || height > highest)) {
      highest = height;
      best = i;
    }
    tried.push_back({{"learning_rate", work.study.cells[cell.candidates[i]].tuning->learning_rate},
                     {by_loss ? "loss" : "score", std::isfinite(mean) ? json(mean) : json()}});
  }
  if (!best) {
    throw invalid_input(cat("none of the ", cell.candidates.size(), " learning rates gives a model that can be judged"),
                        "give lower ones in [tune] learning-rates");
  }
  return {{"learning_rate", tried[*best]["learning_rate"]}, {"tried", tried}};
}

json heal_cut(const CellWork& work) {
  const Cell& cell = work.cell;
  HealingRequest healing;
  healing.model = work.study.origin(cell);
  healing.tune = cell.trained == "projector" ? HealTune::kProjector : HealTune::kLora;
  if (cell.trained == "region") healing.layers = "from-run";
  if (cell.beside_of) {
    // The survivors beside each cut, by the numbers of the model that is healed.
    const json beside = work.record(*cell.beside_of).result.at("beside");
    const bool whole = cell.removed == 0;
    healing.layers = layer_list_text(beside.at(whole ? "original" : "now").get<std::vector<std::int64_t>>());
  }
  const HealingPlan plan = plan_healing(healing);
  const TuneKind kind = plan.tune == HealTune::kLora ? TuneKind::kLora : TuneKind::kFull;
  TrainingRequest request = work.training(work.study.definition.heal->recipe, Stage::kTune, kind);
  request.tune.seed = cell.tuning->seed;
  request.data.fraction = cell.tuning->data_fraction;
  return work.train(healing_run(std::move(request), plan));
}

}  // namespace striate::study
