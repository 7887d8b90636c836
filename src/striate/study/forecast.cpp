#include "striate/study/forecast.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/data/dataset.h"
#include "striate/model/open_configuration.h"
#include "striate/study/asked_questions.h"
#include "striate/study/cell_settings.h"
#include "striate/train/recipe.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;

constexpr double kProcessSeconds = 0.7;    // to start a process and open a model
constexpr double kPictureSeconds = 0.002;  // to render a picture
constexpr std::int64_t kPictureBytes = 10'000, kAnswerBytes = 400;
constexpr double kQuestionTokens = 40, kAnswerTokens = 8;
constexpr double kDecodingFactor = 3;  // a token that is decoded, in tokens of a prompt

constexpr std::int64_t kTurnTokens = 20, kCaptionTokens = 40;  // of a world's conversations and captions

// What is known of a model's passes.
struct PassCost {
  double seconds_per_token = 0;
  double image_rows = 0;
};

// One training, as often as it occurs.
struct TrainingForecast {
  std::optional<double> seconds;
  std::int64_t result_bytes = 0, feature_bytes = 0, model_bytes = 0;
  PassCost pass;
};

class Forecaster {
 public:
  Forecaster(const Study& study, const AskedMachine& machine) : study_(study), machine_(machine) {}

  StudyForecast run() {
    StudyForecast all;
    std::map<std::size_t, std::int64_t> features;  // by data
    for (const Cell& cell : study_.cells) {
      CellForecast one = of(cell);
      if (one.seconds) *one.seconds += kProcessSeconds;
      all.seconds += one.seconds.value_or(0);
      all.complete &= one.seconds.has_value();
      all.disk += one.disk;
      if (cell.kind == CellKind::kTune)
        features[cell.data] = std::max(features[cell.data], training(cell).feature_bytes);
      all.cells.push_back(one);
    }
    for (const auto& [data, bytes] : features) all.features += bytes;
    all.disk += all.features;
    return all;
  }

 private:
  CellForecast of(const Cell& cell) {
    switch (cell.kind) {
      case CellKind::kWorld: {
        const WorldDefinition& world = *study_.definition.data[cell.data].world;
        const auto pictures = world.train + world.held_out + world.test;
        return {kPictureSeconds * static_cast<double>(pictures), kPictureBytes * pictures};
      }
      case CellKind::kAlign:
      case CellKind::kTune:
      case CellKind::kHeal: {
        const TrainingForecast& found = training(cell);
        const bool whole = cell.kind == CellKind::kHeal && cell.trained == "projector";
        return {found.seconds, whole ? found.model_bytes : found.result_bytes};
      }
      case CellKind::kScore:
        return {passes(cell, static_cast<double>(cell.samples), 4 * kQuestionTokens), 100'000};
      case CellKind::kAsk:
        return asking(cell, cell.measure.value());
      case CellKind::kLoss:
        return {passes(cell, loss_samples(cell.measure.value()), 2 * kQuestionTokens), 0};
      case CellKind::kPrune:
        return pruning(cell);
      case CellKind::kCut:
        return {0.0, training(cell).model_bytes};
      case CellKind::kRevert:
        return {0.0, training(cell).result_bytes};
      case CellKind::kChoose:
        return {0.0, 0};
    }
    throw internal_error("a cell of no kind");
  }

  CellForecast asking(const Cell& cell, std::size_t benchmark) {
    const double questions = question_count(benchmark);
    return {passes(cell, questions, kQuestionTokens + kDecodingFactor * kAnswerTokens),
            kAnswerBytes * static_cast<std::int64_t>(questions)};
  }

  CellForecast pruning(const Cell& cell) {
    CellForecast all{0.0, 0};
    const auto add = [&](const CellForecast& one) {
      const auto times = static_cast<double>(cell.removed);
      if (all.seconds && one.seconds) *all.seconds += times * *one.seconds;
      if (!one.seconds) all.seconds.reset();
      all.disk += cell.removed * one.disk;
    };
    for (std::size_t i = 0; i < study_.definition.benchmarks.size(); ++i) {
      if (!study_.definition.benchmarks[i].validation) add(asking(cell, i));
    }
    for (std::size_t i = 0; i < study_.definition.losses.size(); ++i) {
      add({passes(cell, loss_samples(i), 2 * kQuestionTokens), 0});
    }
    return all;
  }

  std::optional<double> passes(const Cell& cell, double samples, double text_tokens) {
    const PassCost& pass = training(cell).pass;
    if (pass.seconds_per_token == 0) return std::nullopt;
    return samples * (pass.image_rows + text_tokens) * pass.seconds_per_token;
  }

  double question_count(std::size_t index) {
    const auto found = questions_.find(index);
    if (found != questions_.end()) return found->second;
    const BenchmarkDefinition& asked = study_.definition.benchmarks[index];
    double count = 0;
    if (const WorldDefinition* world = world_of(asked.data)) {
      count = world_questions(*world, asked.sense, asked.data.ends_with("held_out.json"));
      if (asked.limit > 0) count = std::min(count, static_cast<double>(asked.limit));
    } else {
      const AskedQuestions questions(asked.benchmark, asked.protocol, study_.path(asked.data), asked.limit);
      count = static_cast<double>(questions.set().questions.size());
    }
    return questions_[index] = count;
  }

  double loss_samples(std::size_t index) {
    const LossDefinition& loss = study_.definition.losses[index];
    if (loss.samples > 0) return static_cast<double>(loss.samples);
    if (const WorldDefinition* world = world_of(loss.data)) {
      return world_questions(*world, loss.sense, loss.data.ends_with("held_out.json"));
    }
    return static_cast<double>(Dataset(study_.path(loss.data)).size());
  }

  static double world_questions(const WorldDefinition& world, Sense sense, bool held_out) {
    if (sense == Sense::kText) return static_cast<double>(std::max<std::int64_t>(1, world.text / 10));
    const std::int64_t pictures = held_out || world.test == 0 ? world.held_out : world.test;
    return static_cast<double>(pictures * world.held_out_questions);
  }

  // nullptr: the path lies in none.
  const WorldDefinition* world_of(const std::string& path) const {
    const std::size_t end = path.find('}');
    if (!path.starts_with('{') || end == std::string::npos) return nullptr;
    for (const DataDefinition& data : study_.definition.data) {
      if (data.world && data.name == path.substr(1, end - 1)) return &*data.world;
    }
    return nullptr;
  }

  const TrainingForecast& training(const Cell& cell) {
    const auto [key, request] = request_for(cell);
    const auto found = trainings_.find(key);
    if (found != trainings_.end()) return found->second;
    return trainings_.emplace(key, planned(request)).first->second;
  }

  TrainingForecast planned(const RunPlanRequest& request) {
    const RunPlan plan = plan_run(request);
    if (plan.cpu_rates) rates_ = plan.cpu_rates;
    TrainingForecast out;
    if (!plan.fits.empty() && plan.fits.front().speed) out.seconds = plan.fits.front().speed->seconds;
    if (plan.run) {
      out.result_bytes = plan.run->result_bytes;
      out.feature_bytes = plan.run->feature_bytes;
    }
    out.model_bytes = plan.region.model * 2;
    const std::optional<MachineRates> rates =
        machine_.machine.gpu ? assumed_gpu_rates(machine_.machine, plan.request.compute) : rates_;
    if (rates && rates->products > 0) out.pass.seconds_per_token = plan.region.operations.forward / rates->products;
    const auto& vision = plan.request.config.vision;
    out.pass.image_rows = vision ? static_cast<double>(vision->tokens()) : 0;
    return out;
  }

  std::pair<std::string, RunPlanRequest> request_for(const Cell& cell) const {
    const StudyDefinition& asked = study_.definition;
    const bool align = cell.kind == CellKind::kAlign, heal = cell.kind == CellKind::kHeal;
    const Recipe& recipe = align ? *asked.align : heal ? asked.heal->recipe : asked.tune;
    RunPlanRequest r;
    r.model = study_.start(cell.model);
    r.tune.stage = align ? Stage::kAlign : Stage::kTune;
    r.tune.kind = asked.full ? TuneKind::kFull : TuneKind::kLora;
    r.tune.lora.rank = recipe.lora_rank.value_or(r.tune.lora.rank);
    if (!align) r.layers = layers_for(cell);
    if (!recipe.conversation.empty()) r.conversation = parse_template(recipe.conversation);
    r.data.fraction = cell.tuning ? cell.tuning->data_fraction : 1;
    r.data.batch = recipe.tokens_per_step ? 0 : recipe.batch.value_or(recipe_batch(r.tune.stage));
    r.data.tokens_per_step = recipe.tokens_per_step.value_or(0);
    r.data.max_tokens = recipe.max_tokens.value_or(r.data.max_tokens);
    r.data.tokens_per_stream = std::max(recipe.tokens_per_stream.value_or(r.data.tokens_per_stream), r.data.max_tokens);
    r.data.feature_cache_folder = study_.feature_cache();
    r.steps = recipe.steps;
    r.epochs = recipe.epochs.value_or(1);
    r.machines = {machine_};
    r.cpu_rates = rates_;
    describe_samples(cell, align, r);
    const std::string key = cat(cell.model, " ", cell.data, " ", align, heal, " ", r.layers, " ", r.data.fraction);
    return {key, r};
  }

  // The file where it is there; else what is known of the world that will be rendered.
  void describe_samples(const Cell& cell, bool align, RunPlanRequest& r) const {
    const DataDefinition& data = study_.definition.data[cell.data];
    const fs::path file = study_.path(align ? data.align : data.train);
    if (path_exists(file)) {
      r.data.data = file;
      return;
    }
    const WorldDefinition* world = world_of(align ? data.align : data.train);
    if (world == nullptr) return;
    const double samples = std::max(1.0, static_cast<double>(world->train) * r.data.fraction);
    const ModelConfig config = open_configuration(r.model).config;
    const std::int64_t rows = config.vision ? config.vision->tokens() : 0;
    r.sample.tokens = rows + (align ? kCaptionTokens : kTurnTokens * world->questions);
    r.sample.targets = align ? kCaptionTokens / 2 : 3 * world->questions;
    const double batch = r.data.batch > 0 ? static_cast<double>(r.data.batch) : samples;
    if (!r.steps) r.steps = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(r.epochs * samples / batch)));
    r.epochs = 1;
  }

  // Where scores will decide, as many layers of a grid.
  std::string layers_for(const Cell& cell) const {
    if (!cell.tuning) return "all";
    if (cell.kind == CellKind::kHeal && cell.trained != "region") return "uniform:25%";
    const bool scored = cell.tuning->strategy.find(':') != std::string::npos;
    return scored ? cat("uniform:", cell.size) : layer_text(*cell.tuning, cell.size);
  }

  const Study& study_;
  AskedMachine machine_;
  std::optional<MachineRates> rates_;
  std::map<std::string, TrainingForecast> trainings_;
  std::map<std::size_t, double> questions_;
};

}  // namespace

void check_files(const Study& study) {
  const auto require = [&](const std::string& what, const std::string& written) {
    if (written.empty() || written.starts_with('{') || path_exists(study.path(written))) return;
    throw invalid_input(
        cat(study.definition.file.string(), ": ", what, ": ", study.path(written).string(), ": no such file or folder"),
        "paths are relative to the folder of the definition");
  };
  for (const DataDefinition& data : study.definition.data) {
    for (const std::string* path : {&data.train, &data.images}) require(cat("data ", data.name), *path);
    if (!study.definition.align) continue;
    for (const std::string* path : {&data.align, &data.align_images}) require(cat("data ", data.name), *path);
  }
  for (const LossDefinition& loss : study.definition.losses) {
    for (const std::string* path : {&loss.data, &loss.images}) require(cat("loss ", loss.name), *path);
  }
  for (const BenchmarkDefinition& benchmark : study.definition.benchmarks) {
    for (const std::string* path : {&benchmark.data, &benchmark.images})
      require(cat("benchmark ", benchmark.name), *path);
  }
}

StudyForecast forecast(const Study& study, const AskedMachine& machine) {
  check_files(study);
  if (!machine.machine.gpu) at::set_num_threads(study.definition.threads);
  return Forecaster(study, machine).run();
}

}  // namespace striate::study
