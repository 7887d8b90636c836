#include "striate/train/prepared_run.h"

#include <algorithm>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/data/sample_order.h"
#include "striate/model/adapter_file.h"
#include "striate/model/open_configuration.h"
#include "striate/model/picture_settings.h"
#include "striate/ranks/same_plan.h"
#include "striate/region/layer_grammar.h"
#include "striate/tensor/device_memory.h"
#include "striate/tensor/fp8_product.h"
#include "striate/tensor/machine.h"
#include "striate/train/healing.h"
#include "striate/train/plan.h"
#include "striate/train/planned_stream.h"
#include "striate/train/run_settings.h"
#include "striate/version.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

Checkpoint open_model(const TrainingRequest& request) {
  Checkpoint checkpoint = open_checkpoint(request.model);
  ModelConfig& config = checkpoint.config;
  if (config.vision) config.padding_asked = pads_in_training(config, checkpoint.folder);
  return checkpoint;
}

TuneOptions tune_options(const TrainingRequest& request, const DecoderConfig& decoder) {
  const bool tunes_layers = request.tune.stage == Stage::kTune && !request.projector_alone;
  return {request.tune, tunes_layers ? parse_layer_set(request.layers, decoder) : LayerSet(decoder.layers, {})};
}

PreparedTeacher open_teacher(const TeacherRequest& asked, const Checkpoint& student) {
  PreparedTeacher teacher{open_checkpoint(asked.model), {}};
  DistillationOptions& options = teacher.options;
  options.hidden_weight = asked.hidden_weight;
  options.kl_weight = asked.kl_weight;
  options.temperature = asked.temperature;
  options.original = healing_pair(student, &teacher.checkpoint).teacher_layers;
  if (!asked.hidden_layers.empty()) options.layers = parse_layer_set(asked.hidden_layers, student.config.decoder);
  options = checked_distillation(teacher.checkpoint.config, student.config, std::move(options));
  return teacher;
}

std::optional<FoundCheckpoint> find_checkpoint(const TrainingRequest& request, Collective& ranks, const Notes& notes) {
  std::optional<FoundCheckpoint> found;
  if (request.resume) {
    found = newest_whole_checkpoint(request.out / "checkpoints", notes);
    if (!found)
      notes.tell(cat(request.out.string(), ": no checkpoint to resume from; the run starts from the beginning"));
  }
  // Ranks that see different folders would train different models.
  if (!ranks.agree(found ? std::to_string(found->state.step) : "none")) {
    throw invalid_input(cat(request.out.string(), ": the ranks found different checkpoints in it"),
                        "give an `out` folder that every rank can read");
  }
  return found;
}

StepSourceOptions data_options(const TrainingRequest& request, const Checkpoint& checkpoint, Collective& ranks,
                               const Notes& notes) {
  StepSourceOptions data;
  static_cast<TrainingData&>(data) = request.data;
  const ModelConfig& config = checkpoint.config;
  const bool align = request.tune.stage == Stage::kAlign;
  data.conversation = request.conversation.value_or(align ? TemplateKind::kPlain : default_template(config.family));
  if (config.vision) data.preprocess = preprocess_config(config, checkpoint.folder);
  data.seed = request.tune.seed;
  data.rank = ranks.rank();
  data.ranks = ranks.size();
  data.exchange = ranks.open_exchange("samples");
  data.bad_samples_file = request.out / "bad_samples.jsonl";
  data.pixels = request.tune.tune_vision_tower;
  data.notes = notes;
  return data;
}

EvaluationOptions held_out_options(const HeldOut& held, const StepSourceOptions& data, Collective& ranks) {
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
  options.exchange = ranks.open_exchange("held out");
  options.notes = data.notes;
  return options;
}

PreparedBenchmark prepare_benchmark(const HeldOut& held, const ModelConfig& config, const StepSourceOptions& data,
                                    Collective& ranks) {
  HeldOutBenchmark request;
  request.name = held.benchmark;
  request.data = held.data;
  request.images = held.images;
  request.protocol = held.protocol;
  request.limit = held.samples;
  request.on_bad_sample = data.on_bad_sample;
  PreparedBenchmark prepared{open_held_out(request, config), {}, ranks.open_exchange("benchmark")};
  for (const std::string& note : prepared.opened.set.notes) data.notes.warn(cat(held.benchmark, ": ", note));
  prepared.asking.conversation = data.conversation;
  prepared.asking.pixels = data.preprocess;
  if (!data.pixels) prepared.asking.feature_cache_folder = data.feature_cache_folder;
  prepared.asking.threads = data.threads;
  prepared.asking.notes = data.notes;
  return prepared;
}

AnswerOptions answer_options(const HeldOut& held, const StepSourceOptions& data) {
  AnswerOptions answers;
  answers.conversation = data.conversation;
  answers.max_tokens = held.max_tokens;
  answers.context = data.max_tokens + held.max_tokens;
  answers.tokens_per_stream = data.tokens_per_stream;
  return answers;
}

// Of a run of so many steps. A run at a constant rate may go on for more steps than it began with: its warm-up is then
// what it was, and not a share of what the run has become.
std::int64_t warmup_of(const TrainingRequest& request, std::int64_t steps,
                       const std::optional<FoundCheckpoint>& found) {
  if (request.warmup_steps) return *request.warmup_steps;
  if (found && request.schedule == ScheduleKind::kConstant) {
    const auto begun = found->state.settings.find("warmup-steps");
    if (begun != found->state.settings.end() && begun->is_number_integer()) return begun->get<std::int64_t>();
  }
  return warmup_steps_of(request.warmup_ratio, steps);
}

Schedule schedule_of(const TrainingRequest& request, PreparedRun& run, Collective& ranks, const Notes& notes) {
  Schedule schedule;
  schedule.kind = request.schedule;
  schedule.total_steps = total_steps(request, run, ranks, notes);
  schedule.warmup_steps = warmup_of(request, schedule.total_steps, run.found);
  return schedule;
}

// Of what is trained.
double largest_rate(const GroupRates& rates, const TrainingCost& cost) {
  double rate = 0;
  if (cost.adapter > 0) rate = std::max(rate, rates.adapter);
  if (cost.projector > 0) rate = std::max(rate, rates.projector);
  if (cost.decoder > 0) rate = std::max(rate, rates.decoder);
  if (cost.vision_tower > 0) rate = std::max(rate, rates.vision_tower);
  return rate;
}

// A run that cannot change anything must not look like one that did; and one of a step or two is seldom what was meant.
void warn_of_small_runs(const PreparedRun& run, double rate, const Notes& notes) {
  const std::string steps = counted(run.plan.steps, "step");
  if (run.schedule.is_always_zero() || rate == 0) {
    notes.warn(cat("every step has learning rate 0, so nothing is learned: the run has ", steps, ", of which ",
                   run.schedule.warmup_steps, " warm up; give more steps, a shorter warm-up or a higher rate"));
  }
  const StepSourceOptions& data = run.steps->options();
  const bool is_small = data.batch > 0 ? run.plan.samples < data.batch : run.steps->steps_per_epoch() == 1;
  if (!is_small) return;
  const std::string step =
      data.batch > 0 ? cat("`batch` ", data.batch) : cat("`tokens_per_step` ", data.tokens_per_step);
  notes.warn(cat("the data set has ", counted(run.plan.samples, "sample"), ", fewer than one step takes (", step,
                 "): a step uses samples several times, and the run has ", steps, "; smaller steps make more of them"));
}

// Ranks that read other data, or were started with other flags, would train nonsense together.
void compare_with_other_ranks(const TrainingRequest& request, const PreparedRun& run, Collective& ranks) {
  const std::unique_ptr<RankExchange> exchange = ranks.open_exchange("plan");
  if (!exchange) return;
  const StepSourceOptions& data = run.steps->options();
  nlohmann::json plan = run.settings;
  plan["version"] = STRIATE_VERSION;
  plan["number of steps"] = run.plan.steps;
  // What ranks do together, though it is no setting of the run.
  plan["shard-optimizer"] = request.shard_optimizer;
  plan["save-every"] = request.save_every;
  plan["eval-every"] = request.held_out.every;
  plan["eval-first"] = request.held_out.first;
  plan["skip-bad-steps"] = request.skip_bad_steps;
  const std::vector<std::uint32_t> order = epoch_order(run.plan.samples, data.seed, 0, data.shuffle);
  plan["order of the samples"] =
      sha256_of({reinterpret_cast<const char*>(order.data()), order.size() * sizeof(std::uint32_t)});
  check_same_plan(plan, *exchange);
}

// The largest stream that the run's samples are packed into and the streams of a step, as striate plan estimates them.
void plan_streams(const PlannedSteps& steps, PlanRequest& asked) {
  const StepSourceOptions& data = steps.options();
  const SampleMeans means = sample_means(steps.sketch(), asked.config);
  const StreamLimits limits = {.tokens_per_stream = data.tokens_per_stream,
                               .batch = data.batch,
                               .tokens_per_step = data.tokens_per_step,
                               .ranks = data.ranks};
  asked.stream = planned_stream(asked.config, means, limits);
  asked.streams = planned_streams(asked.stream, means, limits);
}

struct TeacherBytes {
  std::int64_t weights = 0;  // those of its adapter among them
  std::int64_t copies = 0;   // of them, what is not a mapped file on the CPU
  std::int64_t states = 0;   // of the largest stream
};

TeacherBytes teacher_bytes(const std::optional<PreparedTeacher>& teacher, const Placement& placement,
                           std::int64_t tokens) {
  if (!teacher) return {};
  const ModelConfig& config = teacher->checkpoint.config;
  const auto stored = [&](const std::string& name) { return stored_type(teacher->checkpoint, name); };
  TeacherBytes bytes;
  bytes.weights = teacher_matrix_bytes(config, placement, stored);
  if (const auto& folder = teacher->checkpoint.adapter) {
    const AdapterFile adapter(*folder);
    bytes.weights += adapter.matrix_bytes(/*copies_only=*/false);
    bytes.copies = adapter.matrix_bytes(/*copies_only=*/true);
  }
  bytes.states = distillation_state_bytes(config.decoder, placement.compute, teacher->options, tokens);
  return bytes;
}

// Bytes for what the plan counts. Ranks on one machine share its main memory; a GPU is a rank's own.
std::int64_t budget_of(const TrainingRequest& request, const MemoryPlan& memory, const TeacherBytes& teacher,
                       int ranks_here) {
  if (request.memory_budget)
    return static_cast<std::int64_t>(*request.memory_budget) - teacher.weights - teacher.states;
  // A teacher's weights have their place on a GPU, and most of them are mapped files on the CPU.
  const at::Device device = request.placement.device;
  if (device.is_cpu()) return memory_of_rank(memory, free_memory(), ranks_here) - teacher.states - teacher.copies;
  return device_memory(device).free - teacher.states - teacher.weights;
}

// A GPU's memory for pictures' features: a quarter of what the plan leaves. Three are for what it does not count, such
// as evaluations and gaps between tensors.
std::int64_t device_cache_of(const TrainingRequest& request, const MemoryPlan& memory,
                             ActivationCheckpointing checkpointing, std::int64_t budget) {
  if (request.placement.device.is_cpu() || request.data.feature_cache_bytes == 0) return 0;
  return std::max<std::int64_t>(0, budget - memory.total(checkpointing)) / 4;
}

// The checkpointing with the fewest operations for the largest stream there can be.
ActivationCheckpointing cheapest_checkpointing(const TrainingRequest& request, const PlanRequest& asked,
                                               const TrainingCost& cost, std::int64_t budget, const Notes& notes) {
  if (const auto checkpointing = checkpointing_within(cost.memory, budget)) return *checkpointing;
  const std::string what =
      cat("streams of ", asked.stream.tokens, " tokens may need ",
          human_bytes(static_cast<std::uint64_t>(cost.memory.total(ActivationCheckpointing::kLayer))),
          ", but the budget is ", human_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(0, budget))));
  if (request.memory_budget) {
    throw invalid_input("`memory_budget`: " + what,
                        "striate plan shows what takes memory; a smaller `tokens_per_stream` needs less");
  }
  notes.warn(what + "; a smaller `tokens_per_stream` needs less");
  return ActivationCheckpointing::kLayer;
}

// What the parameters and a pass take, and whether there is room for them.
TrainingCost plan_memory(const TrainingRequest& request, PreparedRun& run, Collective& ranks, const Notes& notes) {
  const ModelConfig& config = run.checkpoint.config;
  const Placement& placement = request.placement;
  PlanRequest asked;
  asked.ranks = run.steps->options().ranks;
  asked.shard_optimizer = request.shard_optimizer;
  const int ranks_here = ranks.ranks_here();
  const bool on_cpu = placement.device.is_cpu();
  const std::int64_t free = on_cpu ? free_memory() : device_memory(placement.device).free;
  require_room_to_train(config, run.tune, placement.compute, free, on_cpu ? ranks_here : 1,
                        asked.shard_optimizer ? asked.ranks : 1);
  asked.config = config;
  asked.tune = run.tune;
  asked.compute = placement.compute;
  asked.on_gpu = !on_cpu;
  if (asked.on_gpu) {
    asked.gpu_memory = device_memory(placement.device).total;
    asked.fp8_units = has_fp8_units(placement.device);
  }
  plan_streams(*run.steps, asked);
  asked.stored_type = [&run](const std::string& name) { return stored_type(run.checkpoint, name); };
  const TrainingCost cost = plan_cost(asked);
  const TeacherBytes teacher = teacher_bytes(run.teacher, placement, asked.stream.tokens);
  run.plan.parameters = cost.parameters;
  run.plan.teacher_bytes = teacher.weights + teacher.states;
  const std::int64_t budget = budget_of(request, cost.memory, teacher, ranks_here);
  run.plan.checkpointing =
      request.checkpointing ? *request.checkpointing : cheapest_checkpointing(request, asked, cost, budget, notes);
  run.plan.device_cache_bytes = device_cache_of(request, cost.memory, run.plan.checkpointing, budget);
  return cost;
}

void check_resumed(PreparedRun& run) {
  if (!run.found) return;
  check_same_settings(run.found->state.settings, run.settings, run.found->path.string());
  run.plan.first_step = run.found->state.step;
  // At a constant rate the number of steps is no setting that is compared. It may grow, but steps cannot be taken back.
  if (run.plan.first_step > run.plan.steps) {
    throw invalid_input(cat(run.found->path.string(), ": the run has taken ", counted(run.plan.first_step, "step"),
                            " already, more than the ", run.plan.steps, " that are asked for"),
                        "ask for at least as many steps, or start another run with a new `out`");
  }
  run.plan.resumed_from = run.found->path;
}

}  // namespace

PreparedRun prepare_run(const TrainingRequest& request, Collective& ranks, const Notes& observers) {
  const Notes notes = ranks.rank() == 0 ? observers : Notes{};
  PreparedRun run;
  run.checkpoint = open_model(request);
  if (const auto why = without_gpu_kernels(request.placement.device)) notes.tell(*why);
  const ModelConfig& config = run.checkpoint.config;
  run.tune = tune_options(request, config.decoder);
  check_tune_options(config, run.tune);
  check_frozen_precision(config.decoder, run.tune);
  if (request.teacher) run.teacher = open_teacher(*request.teacher, run.checkpoint);
  run.tokenizer = load_tokenizer(request.tokenizer.value_or(run.checkpoint.folder));
  run.found = find_checkpoint(request, ranks, notes);
  run.steps =
      std::make_unique<PlannedSteps>(config, *run.tokenizer, data_options(request, run.checkpoint, ranks, observers),
                                     run.found ? run.found->state.data : DataPosition{});
  const StepSourceOptions& data = run.steps->options();
  if (!request.held_out.benchmark.empty()) {
    run.benchmark = prepare_benchmark(request.held_out, config, data, ranks);
  } else if (!request.held_out.data.empty()) {
    run.held_out.emplace(config, *run.tokenizer, held_out_options(request.held_out, data, ranks));
  }
  run.answers = answer_options(request.held_out, data);
  run.schedule = schedule_of(request, run, ranks, notes);
  run.plan.model = family_name(config.family);
  run.plan.layers = run.tune.layers;
  run.plan.samples = run.steps->samples_per_epoch();
  run.plan.steps = run.schedule.total_steps;
  run.plan.ranks = ranks.size();
  if (request.shard_optimizer && ranks.size() == 1) {
    notes.warn("`shard_optimizer` changes nothing: this run has one process");
  }
  const TrainingCost cost = plan_memory(request, run, ranks, notes);
  warn_of_small_runs(run, largest_rate(request.rates, cost), notes);
  run.settings = settings_of(request, run);
  compare_with_other_ranks(request, run, ranks);
  check_resumed(run);
  // A run that has no step left needs no samples: pictures that are gone by now do not matter.
  if (run.plan.first_step < run.plan.steps) run.steps->wait();
  return run;
}

}  // namespace striate
