#include "striate/train/training_run.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/log.h"
#include "striate/base/strings.h"
#include "striate/region/history.h"
#include "striate/region/layer_set.h"
#include "striate/text/tokenizer.h"
#include "striate/train/checkpoint.h"
#include "striate/train/evaluation.h"
#include "striate/train/plan.h"
#include "striate/train/run_record.h"
#include "striate/train/run_settings.h"
#include "striate/train/signals.h"
#include "striate/train/tensorboard.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// What is free for a run whose parameters, gradients and moments (on a GPU the weights too) have their place already.
std::int64_t free_for_run(const MemoryPlan& memory, at::Device device) {
  const std::int64_t placed = memory.parameters + memory.gradients + memory.moments;
  if (device.is_cpu()) return free_memory() + placed;
  const auto [free, total] = at::accelerator::getMemoryInfo(device.index());
  return static_cast<std::int64_t>(free) + placed + memory.weights;
}

// All that a run works with, in the order it is opened.
class Run {
 public:
  Run(const TrainingRequest& request, Collective& ranks, const TrainingObserver& observer)
      : request_(request), ranks_(ranks), observer_(observer), folder_(request.out) {}

  TrainingResult go() {
    open_model();
    const std::optional<FoundCheckpoint> found = find_checkpoint();
    open_data(found);
    if (found) adopt(*found);
    choose_policy();
    begin_record(found);
    TrainingResult result;
    result.plan = plan_;
    result.outcome = train();
    result.checkpoint = last_checkpoint_;
    finish_record(result);
    return result;
  }

 private:
  bool is_first() const { return ranks_.rank() == 0; }

  void open_model() {
    checkpoint_ = open_checkpoint(request_.model);
    tokenizer_ = load_tokenizer(request_.tokenizer.value_or(checkpoint_->folder));
    model_ = load_model(*checkpoint_, request_.placement);
    TuneOptions tune = request_.tune;
    plan_.total_layers = model_->config().decoder.layers;
    if (tune.stage == Stage::kTune && !request_.projector_alone) {
      tune.layers = parse_layer_set(request_.layers, model_->config().decoder);
    }
    tunable_ = std::make_unique<Tunable>(*model_, tune);
    optimizer_ = std::make_unique<AdamW>(tunable_->parameters(), request_.adamw);
    plan_.model = family_name(checkpoint_->config.family);
    plan_.layers = tune.layers;
    plan_.parameters = tunable_->parameters().count();
    plan_.ranks = ranks_.size();
    if (request_.teacher) open_teacher(*request_.teacher);
  }

  void open_teacher(const TeacherRequest& teacher) {
    teacher_checkpoint_ = open_checkpoint(teacher.model);
    teacher_ = load_model(*teacher_checkpoint_, request_.placement);
    DistillationOptions options;
    options.hidden_weight = teacher.hidden_weight;
    options.kl_weight = teacher.kl_weight;
    options.temperature = teacher.temperature;
    options.original = teacher.original;
    if (!teacher.hidden_layers.empty()) {
      options.layers = parse_layer_set(teacher.hidden_layers, model_->config().decoder);
    }
    distillation_ = std::make_unique<Distillation>(*teacher_, model_->config(), std::move(options));
  }

  std::optional<FoundCheckpoint> find_checkpoint() {
    std::optional<FoundCheckpoint> found;
    if (request_.resume) {
      found = newest_whole_checkpoint(folder_ / "checkpoints");
      if (!found && is_first()) log_info(cat(folder_.string(), ": no checkpoint to resume from; the run begins anew"));
    }
    // Ranks that see different folders would train different models.
    const double step = found ? static_cast<double>(found->state.step) : -1;
    const at::Tensor sum = at::full({1}, step, at::TensorOptions(at::kDouble));
    ranks_.sum(sum);
    if (sum.item<double>() != step * ranks_.size()) {
      throw invalid_input(cat(folder_.string(), ": the ranks find different checkpoints there"),
                          "--out must be a folder that every rank sees");
    }
    return found;
  }

  void open_data(const std::optional<FoundCheckpoint>& found) {
    StepSourceOptions data = request_.data;
    const ModelConfig& config = checkpoint_->config;
    const bool align = request_.tune.stage == Stage::kAlign;
    data.conversation = request_.conversation.value_or(align ? TemplateKind::kPlain : default_template(config.family));
    if (config.vision && !data.preprocess) data.preprocess = preprocess_config(config, checkpoint_->folder);
    data.seed = request_.tune.seed;
    data.rank = ranks_.rank();
    data.ranks = ranks_.size();
    data.bad_samples_file = folder_ / "bad_samples.jsonl";
    data.pixels = request_.tune.tune_vision_tower;
    if (is_first()) fs::create_directories(folder_);
    ranks_.barrier();
    source_ = open_step_source(*model_, *tokenizer_, data, found ? found->state.data : DataPosition{});
    open_held_out(data);
    schedule_.kind = request_.schedule;
    schedule_.total_steps = total_steps(request_, data, *source_);
    schedule_.warmup_steps =
        request_.warmup_steps.value_or(warmup_steps_of(request_.warmup_ratio, schedule_.total_steps));
    plan_.samples = source_->samples_per_epoch();
    plan_.steps = schedule_.total_steps;
    state_.settings = settings_of(request_, tunable_->options(), data, schedule_, *checkpoint_,
                                  teacher_checkpoint_ ? &*teacher_checkpoint_ : nullptr);
  }

  void open_held_out(const StepSourceOptions& data) {
    const HeldOut& held = request_.held_out;
    answers_.conversation = data.conversation;
    answers_.max_tokens = held.max_tokens;
    answers_.context = data.max_tokens + held.max_tokens;
    answers_.tokens_per_stream = data.tokens_per_stream;
    if (held.data.empty()) return;
    EvaluationOptions options;
    options.data = held.data;
    options.images = held.images.empty() ? data.images : held.images;
    options.preprocess = data.preprocess;
    options.conversation = data.conversation;
    options.max_tokens = data.max_tokens;
    options.most_items = held.samples;
    options.on_bad_sample = data.on_bad_sample;
    if (!data.pixels) options.feature_cache_folder = data.feature_cache_folder;
    options.threads = data.threads;
    held_out_ = std::make_unique<EvaluationSet>(*model_, *tokenizer_, options);
  }

  EvaluationMetrics evaluate() {
    if (request_.tune.tune_vision_tower) held_out_->forget_features();
    return evaluate_held_out(*model_, tokenizer_, *held_out_, ranks_, answers_);
  }

  void adopt(const FoundCheckpoint& found) {
    check_same_settings(found.state.settings, state_.settings, found.path.string());
    restore_checkpoint(found, tunable_->parameters(), *optimizer_);
    state_ = found.state;
    plan_.first_step = state_.step;
    plan_.resumed_from = found.path;
    last_checkpoint_ = found.path;
  }

  void choose_policy() {
    if (distillation_) {
      plan_.teacher_bytes = distillation_->weight_bytes() + distillation_->state_bytes(largest_stream().tokens);
    }
    switch (request_.recompute) {
      case Recompute::kAuto:
        plan_.policy = cheapest_policy();
        break;
      case Recompute::kKeep:
        plan_.policy = ActivationPolicy::kKeep;
        break;
      case Recompute::kMlp:
        plan_.policy = ActivationPolicy::kRecomputeMlp;
        break;
      case Recompute::kLayer:
        plan_.policy = ActivationPolicy::kRecomputeLayer;
        break;
    }
  }

  // The policy with the fewest operations for the largest stream there can be.
  ActivationPolicy cheapest_policy() const {
    PlanRequest request;
    request.config = checkpoint_->config;
    request.tune = tunable_->options();
    request.compute = request_.placement.compute;
    request.on_gpu = !request_.placement.device.is_cpu();
    request.stream = largest_stream();
    request.stored_type = [this](const std::string& name) {
      const WeightSource::Entry* entry = checkpoint_->weights.find(name);
      return entry != nullptr ? entry->info->dtype : at::kBFloat16;
    };
    const MemoryPlan memory = plan_cost(request).memory;
    // A teacher's weights are in memory already where they are on a GPU, and mapped files on the CPU.
    const std::int64_t states = distillation_ ? distillation_->state_bytes(request.stream.tokens) : 0;
    const std::int64_t budget = request_.memory_budget
                                    ? static_cast<std::int64_t>(*request_.memory_budget) - plan_.teacher_bytes
                                    : free_for_run(memory, request_.placement.device) - states;
    if (const auto policy = policy_within(memory, budget)) return *policy;
    const std::string what =
        cat("streams of ", request.stream.tokens, " tokens may need ",
            human_bytes(static_cast<std::uint64_t>(memory.total(ActivationPolicy::kRecomputeLayer))), ", there are ",
            human_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(0, budget))));
    if (request_.memory_budget) {
      throw invalid_input("--memory-budget: " + what,
                          "striate plan says what takes it; --tokens-per-stream makes it less");
    }
    if (is_first()) log_warn(what + "; with less --tokens-per-stream it needs less");
    return ActivationPolicy::kRecomputeLayer;
  }

  PlannedStream largest_stream() const {
    const StepSourceOptions& data = request_.data;
    PlannedStream stream;
    stream.tokens = data.tokens_per_stream;
    // A step may be smaller than a stream may be.
    const std::int64_t most = data.tokens_per_step > 0 ? data.tokens_per_step : data.batch * data.max_tokens;
    stream.tokens = std::min(stream.tokens, std::max<std::int64_t>(1, most / ranks_.size()));
    const auto& vision = checkpoint_->config.vision;
    const std::int64_t rows = vision ? vision->tokens() : 0;
    constexpr std::int64_t kTextBesidePicture =
        128;  // of a usual sample; more pictures than these is the costlier case
    stream.samples = std::max<std::int64_t>(1, stream.tokens / (rows + kTextBesidePicture));
    stream.image_rows = std::min(stream.tokens, stream.samples * rows);
    stream.targets = (stream.tokens - stream.image_rows) / 2;
    return stream;
  }

  void begin_record(const std::optional<FoundCheckpoint>& found) {
    if (!is_first()) return;
    AtomicFolder::remove_leftovers(folder_ / "checkpoints");
    metrics_ = std::make_unique<MetricsFile>(folder_ / "metrics.jsonl", found ? found->state.step : -1);
    if (request_.tensorboard) {
      events_ = std::make_unique<EventFile>(folder_ / "tensorboard", plan_.first_step > 0 ? plan_.first_step + 1 : 0);
    }
    record_ = {{"command", request_.command},
               {"version", request_.version},
               {"arguments", request_.arguments},
               {"settings", state_.settings},
               {"hardware", hardware_description(request_.placement.device.str(),
                                                 compute_name(request_.placement.compute), ranks_.size())},
               {"model", {{"family", plan_.model}, {"folder", fs::absolute(checkpoint_->folder).string()}}},
               {"region", region_json(request_.layers, plan_.layers, plan_.total_layers)},
               {"trained_parameters", plan_.parameters},
               {"teacher", teacher_json()},
               {"steps", plan_.steps},
               {"started", now_text()},
               {"resumed_from_step", plan_.first_step},
               {"result", nullptr}};
    write_record();
    if (observer_.on_begin) observer_.on_begin(plan_);
  }

  std::string tune_name() const { return request_.projector_alone ? "projector" : kind_name(request_.tune.kind); }

  nlohmann::json teacher_json() const {
    if (!teacher_checkpoint_) return nullptr;
    return {{"folder", fs::absolute(teacher_checkpoint_->folder).lexically_normal().string()},
            {"bytes", plan_.teacher_bytes}};
  }

  void write_record() { write_file(folder_ / "run.json", record_.dump(2) + "\n"); }

  void on_step(const StepMetrics& m) {
    metrics_->append(to_json_line(m));
    if (events_) {
      std::vector<std::pair<std::string, double>> scalars = {
          {"train/loss", m.loss}, {"train/grad_norm", m.gradient_norm}, {"train/epoch", m.epoch}};
      if (m.terms) {
        scalars.insert(scalars.end(),
                       {{"train/ce", m.terms->ce}, {"train/hidden", m.terms->hidden}, {"train/kl", m.terms->kl}});
      }
      for (const auto& [group, rate] : m.rates) scalars.emplace_back("lr/" + group, rate);
      if (m.seconds > 0) {
        scalars.emplace_back("speed/tokens_per_s", static_cast<double>(m.tokens) / m.seconds);
      }
      events_->add_scalars(m.step, scalars);
    }
    if (observer_.on_step) observer_.on_step(m);
  }

  void on_evaluation(const EvaluationMetrics& m) {
    metrics_->append(to_json_line(m));
    if (events_) {
      std::vector<std::pair<std::string, double>> scalars = {{"eval/loss", m.loss}};
      if (m.questions > 0) {
        scalars.emplace_back("eval/accuracy", static_cast<double>(m.exact) / static_cast<double>(m.questions));
      }
      events_->add_scalars(m.step, scalars);
    }
    if (observer_.on_evaluation) observer_.on_evaluation(m);
  }

  void save(const RunState& state) {
    metrics_->sync();
    last_checkpoint_ =
        save_checkpoint(folder_ / "checkpoints", state, tunable_->parameters(), *optimizer_, request_.keep);
    if (observer_.on_save) observer_.on_save(last_checkpoint_);
  }

  TrainerOutcome train() {
    const StopRequest stop;
    TrainerOptions options;
    options.steps = plan_.steps;
    options.rates = request_.rates;
    options.schedule = schedule_;
    options.max_gradient_norm = request_.max_gradient_norm;
    options.save_every = request_.save_every;
    options.evaluate_every = request_.held_out.every;
    options.evaluate_first = request_.held_out.first;
    options.skip_bad_steps = request_.skip_bad_steps;
    TrainerHooks hooks;
    hooks.on_step = [this](const StepMetrics& m) { on_step(m); };
    if (held_out_) hooks.evaluate = [this] { return evaluate(); };
    hooks.on_evaluation = [this](const EvaluationMetrics& m) { on_evaluation(m); };
    hooks.save = [this](const RunState& state) { save(state); };
    hooks.stop_signal = [&stop] { return stop.signal(); };
    TrainPass pass(*tunable_, plan_.policy, distillation_.get());
    Trainer trainer(*tunable_, pass, *source_, *optimizer_, ranks_, options, std::move(hooks), state_);
    return trainer.run();
  }

  nlohmann::json result_json(const TrainingResult& result) const {
    const TrainerOutcome& outcome = result.outcome;
    nlohmann::json json = {{"steps", outcome.state.step},
                           {"skipped_steps", outcome.state.skipped_steps},
                           {"samples", outcome.state.samples},
                           {"tokens", outcome.state.tokens},
                           {"targets", outcome.state.targets},
                           {"bad_samples", outcome.state.data.bad_samples},
                           {"truncated_samples", outcome.state.data.truncated_samples},
                           {"loss", outcome.loss},
                           {"seconds", outcome.seconds},
                           {"done", outcome.signal == 0},
                           {"ended", now_text()}};
    if (outcome.evaluation) {
      const EvaluationMetrics& e = *outcome.evaluation;
      json["evaluation"] = {{"loss", e.loss}, {"questions", e.questions}, {"exact", e.exact}};
    }
    return json;
  }

  // What goes with the result wherever it is copied.
  nlohmann::json history(const TrainingResult& result) const {
    nlohmann::json entry = {{"made_by", "striate " + request_.command},
                            {"version", request_.version},
                            {"stage", stage_name(request_.tune.stage)},
                            {"base", fs::absolute(checkpoint_->folder).lexically_normal().string()},
                            {"region", region_json(request_.layers, plan_.layers, plan_.total_layers)},
                            {"seed", request_.tune.seed},
                            {"steps", result.outcome.state.step},
                            {"settings", state_.settings}};
    if (request_.tune.stage == Stage::kTune) entry["tune"] = tune_name();
    if (teacher_checkpoint_) entry["teacher"] = teacher_json()["folder"];
    const nlohmann::json before = earlier_history(checkpoint_->folder);
    if (!before.is_null()) entry["base_history"] = before;
    return entry;
  }

  void finish_record(const TrainingResult& result) {
    if (is_first()) {
      if (result.outcome.signal == 0) {
        write_outcome(folder_, *tunable_, *checkpoint_, request_.model_out);
        write_file(folder_ / "striate.json", history(result).dump(2) + "\n");
      }
      record_["result"] = result_json(result);
      write_record();
    }
    ranks_.finish();
  }

  const TrainingRequest& request_;
  Collective& ranks_;
  const TrainingObserver& observer_;
  fs::path folder_;
  TrainingPlan plan_;
  std::optional<Checkpoint> checkpoint_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<Lvlm> model_;
  std::unique_ptr<Tunable> tunable_;
  std::optional<Checkpoint> teacher_checkpoint_;
  std::unique_ptr<Lvlm> teacher_;
  std::unique_ptr<Distillation> distillation_;
  std::unique_ptr<AdamW> optimizer_;
  std::unique_ptr<StepSource> source_;
  std::unique_ptr<EvaluationSet> held_out_;
  AnswerOptions answers_;
  Schedule schedule_;
  RunState state_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<EventFile> events_;
  nlohmann::json record_;
  fs::path last_checkpoint_;
};

}  // namespace

TrainingResult run_training(const TrainingRequest& request, const Ranks& ranks, const TrainingObserver& observer) {
  check_request(request);
  const std::unique_ptr<Collective> group = join_ranks(ranks, request.placement.device);
  try {
    if (group->rank() == 0) claim_run_folder(request.out, request.resume);
    return Run(request, *group, observer).go();
  } catch (const std::exception& error) {
    group->report_failure(error.what());
    throw;
  }
}

}  // namespace striate
