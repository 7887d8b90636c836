#include "striate/train/run_plan.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/data/counted_steps.h"
#include "striate/model/open_configuration.h"
#include "striate/region/layer_grammar.h"
#include "striate/tensor/matrix.h"
#include "striate/text/tokenizer.h"
#include "striate/train/planned_stream.h"
#include "striate/train/speed_model.h"

namespace striate {
namespace {

constexpr std::int64_t kMost = 1 << 26;  // tokens or samples that anything may be asked about

void check_range(const std::string& name, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  throw invalid_input(cat(name, " ", value, " is not between ", low, " and ", high), "give a number in that range");
}

void check_request(const RunPlanRequest& r) {
  if (r.model.adapter) {
    throw invalid_input("`adapter` does not apply: training starts from a model without an adapter",
                        "plan for the base model, or for a model that the adapter was merged into");
  }
  check_range("`lora_r`", r.tune.lora.rank, 1, 1 << 16);
  check_range("`tokens_per_stream`", r.data.tokens_per_stream, 2, kMost);
  check_range("`max_tokens`", r.data.max_tokens, 2, kMost);
  if (r.data.tokens_per_step == 0) check_range("`batch`", r.data.batch, 1, kMost);
  if (r.data.tokens_per_step != 0) check_range("`tokens_per_step`", r.data.tokens_per_step, 1, kMost);
  if (r.sample.tokens) check_range("`sample_tokens`", *r.sample.tokens, 1, kMost);
  if (r.sample.targets) check_range("`sample_targets`", *r.sample.targets, 1, kMost);
  if (r.steps) check_range("`steps`", *r.steps, 1, std::int64_t{1} << 40);
  if (!(r.epochs > 0 && r.epochs < 1e6))
    throw invalid_input(cat("`epochs` ", r.epochs, " is not above 0 and below 1e6"), "give a number in that range");
  check_range("`ranks`", r.ranks, 1, 1 << 16);
  if (r.shard_optimizer && r.ranks == 1) {
    throw invalid_input("`shard_optimizer` divides the optimiser's state among ranks, but the plan is for one",
                        "give the number of ranks: `ranks` N");
  }
  if (r.machines.empty()) throw internal_error("a plan for no machine");
}

std::int64_t image_rows(const ModelConfig& config) {
  return config.vision ? config.vision->tokens() : 0;
}

SampleShape described_sample(const SampleDescription& described, const ModelConfig& config) {
  const std::int64_t rows = described.text_only ? 0 : image_rows(config);
  const SampleMeans usual = usual_sample(config, !described.text_only);
  const std::int64_t tokens = described.tokens.value_or(usual.longest);
  const std::int64_t targets = described.targets.value_or(static_cast<std::int64_t>(usual.targets));
  if (tokens < rows + 1) {
    throw invalid_input(cat("`sample_tokens` ", tokens, " is too small: a picture alone has ", rows, " tokens"),
                        "give more, or `text_only`");
  }
  if (targets >= tokens - rows) {
    throw invalid_input(
        cat("`sample_targets` ", targets, " is too large: a sample has ", tokens - rows, " text tokens"),
        "give fewer than that");
  }
  return {std::nullopt, static_cast<double>(tokens), static_cast<double>(targets), usual.images};
}

SampleShape sample_of_data(const RunPlanRequest& request, const Checkpoint& checkpoint, const Notes& notes) {
  if (request.sample.tokens || request.sample.targets || request.sample.text_only) {
    throw invalid_input("`data` excludes the flags that describe samples",
                        "leave out `data`, or `sample_tokens`, `sample_targets` and `text_only`");
  }
  const ModelConfig& config = checkpoint.config;
  const bool align = request.tune.stage == Stage::kAlign;
  const TemplateKind conversation =
      request.conversation.value_or(align ? TemplateKind::kPlain : default_template(config.family));
  const auto tokenizer = load_tokenizer(request.tokenizer.value_or(checkpoint.folder));
  DataSketch data = sketch_data(config, *tokenizer, request.data.data, conversation, request.data.max_tokens);
  const double kept = std::round(request.data.fraction * static_cast<double>(data.samples));
  data.samples = std::max<std::int64_t>(1, static_cast<std::int64_t>(kept));
  SampleShape sample{data, data.tokens, data.targets, data.images};
  if (request.count_steps && !request.steps && request.data.tokens_per_step > 0) {
    StepSourceOptions options;
    static_cast<TrainingData&>(options) = request.data;
    options.conversation = conversation;
    options.seed = request.tune.seed;
    options.notes = notes;
    sample.steps = counted_steps(config, *tokenizer, options, request.epochs);
  }
  return sample;
}

SampleShape sample_shape(const RunPlanRequest& request, const Checkpoint& checkpoint, const Notes& notes) {
  const SampleShape sample = request.data.data.empty() ? described_sample(request.sample, checkpoint.config)
                                                       : sample_of_data(request, checkpoint, notes);
  const std::int64_t stream = request.data.tokens_per_stream;
  const auto longest = sample.data ? sample.data->longest : static_cast<std::int64_t>(sample.tokens);
  if (stream < longest) {
    throw invalid_input(cat("`tokens_per_stream` ", stream, " is too small: a sample has ", longest, " tokens"),
                        sample.data ? "give more, or cut samples with `max_tokens`"
                                    : "give more, or shorter samples with `sample_tokens`");
  }
  return sample;
}

// The largest stream of a step of such samples, and how many there are.
void plan_streams(const RunPlanRequest& asked, const SampleShape& sample, PlanRequest& request) {
  const SampleMeans means = {sample.tokens, sample.targets, sample.images,
                             sample.data ? sample.data->longest : static_cast<std::int64_t>(sample.tokens)};
  const StreamLimits limits = {.tokens_per_stream = asked.data.tokens_per_stream,
                               .batch = asked.data.batch,
                               .tokens_per_step = asked.data.tokens_per_step,
                               .ranks = asked.ranks};
  request.stream = planned_stream(request.config, means, limits);
  request.streams = planned_streams(request.stream, means, limits);
  request.ranks = asked.ranks;
  request.shard_optimizer = asked.shard_optimizer;
}

// What plan_cost() asks, for a machine of which nothing is known yet. `checkpoint` must outlive it.
PlanRequest cost_request(const RunPlanRequest& asked, const Checkpoint& checkpoint, const SampleShape& sample) {
  PlanRequest request;
  request.config = checkpoint.config;
  static_cast<TuneMethod&>(request.tune) = asked.tune;
  if (request.tune.stage == Stage::kTune) {
    request.tune.layers = parse_layer_set(asked.layers, checkpoint.config.decoder);
  }
  request.stored_type = [&checkpoint](const std::string& name) { return stored_type(checkpoint, name); };
  plan_streams(asked, sample, request);
  return request;
}

std::optional<RunCost> cost_of_run(const RunPlanRequest& asked, const Checkpoint& checkpoint, const SampleShape& sample,
                                   const PlanRequest& request, const TrainingCost& cost) {
  if (!sample.data && !asked.steps) return std::nullopt;
  RunShape shape;
  shape.samples = sample.data ? sample.data->samples : 0;
  shape.epochs = asked.epochs;
  shape.steps = asked.steps;
  shape.counted_steps = sample.steps;
  shape.batch = asked.data.batch;
  shape.tokens_per_step = asked.data.tokens_per_step;
  shape.sample_tokens = sample.tokens;
  shape.sample_images = sample.images;
  if (checkpoint.config.vision) {
    const std::int64_t element = request.compute == Compute::kBFloat16 ? 2 : 4;
    shape.image_bytes = image_rows(checkpoint.config) * checkpoint.config.vision->hidden_size * element;
  }
  if (!request.tune.tune_vision_tower) {
    shape.feature_cache_bytes = asked.data.feature_cache_bytes;
    shape.features_on_disk = !asked.data.feature_cache_folder.empty();
  }
  shape.save_every = asked.save_every;
  shape.keep = asked.keep;
  const bool adapter = request.tune.stage == Stage::kTune && request.tune.kind == TuneKind::kLora;
  const bool parameters = adapter || request.tune.stage == Stage::kAlign;
  const at::ScalarType written = asked.save_dtype.value_or(stored_type(checkpoint, "model.embed_tokens.weight"));
  shape.result_bytes =
      parameters ? 4 * cost.parameters : static_cast<std::int64_t>(c10::elementSize(written)) * cost.model;
  return run_cost(shape, cost);
}

// The request as for a machine: GPUs compute in bf16, those before Ampere, which have no units for it, in fp32.
PlanRequest on_machine(PlanRequest request, const Hardware& machine, const RunPlanRequest& asked) {
  const bool lacks_bf16 = machine.memory_rate > 0 && machine.bf16_rate <= 0;
  const Compute on_gpu = lacks_bf16 ? Compute::kFloat32 : Compute::kBFloat16;
  request.on_gpu = machine.gpu;
  // A GPU of which nothing is known but what is to be used of its memory has that at least.
  if (machine.memory > 0 || asked.memory) request.gpu_memory = machine.memory > 0 ? machine.memory : *asked.memory;
  request.fp8_units = machine.fp8_rate > 0 || machine.bf16_rate <= 0;
  request.compute = asked.compute.value_or(machine.gpu ? on_gpu : best_compute());
  return request;
}

class Planner {
 public:
  Planner(const RunPlanRequest& asked, const PlanRequest& request)
      : asked_(asked), request_(request), cpu_rates_(asked.cpu_rates) {}

  const TrainingCost& cost(const Hardware& machine) { return costs(machine).region; }
  const TrainingCost& cost_of_all(const Hardware& machine) { return costs(machine).all; }

  MachineFit fit(const AskedMachine& asked, const std::optional<RunCost>& run) {
    const std::int64_t usable = asked_.memory.value_or(usable_memory(asked.machine));
    const PlanRequest there = on_machine(request_, asked.machine, asked_);
    MachineFit fit;
    fit.asked = asked.name;
    fit.machine = asked.machine;
    fit.usable = usable;
    fit.cost = cost(asked.machine);
    fit.checkpointing = checkpointing_within(fit.cost.memory, usable);
    if (!fit.checkpointing) fit.advice = advise(there, usable);
    if (fit.checkpointing) fit.speed = speed(there, fit, run);
    return fit;
  }

  const std::optional<MachineRates>& cpu_rates() const { return cpu_rates_; }

 private:
  // On a machine: the region's, and that of all layers.
  struct Costs {
    TrainingCost region, all;
  };

  const Costs& costs(const Hardware& machine) {
    const PlanRequest there = on_machine(request_, machine, asked_);
    const Kind kind{there.on_gpu, there.compute, there.gpu_memory, there.fp8_units};
    const auto found = costs_.find(kind);
    if (found != costs_.end()) return found->second;
    return costs_.emplace(kind, Costs{plan_cost(there), plan_cost(with_all_layers(there))}).first->second;
  }

  std::optional<PredictedSpeed> speed(const PlanRequest& there, const MachineFit& fit,
                                      const std::optional<RunCost>& run) {
    const std::optional<MachineRates> rates = this->rates(there, fit.machine);
    if (!rates) return std::nullopt;
    const auto tokens = static_cast<double>(there.stream.tokens);
    PredictedSpeed speed;
    const StreamWork work = stream_work(there, *fit.checkpointing);
    speed.stream = predicted_seconds(work, *rates);
    speed.stream_bytes = work.bytes();
    speed.tokens_per_second = tokens / speed.stream.total();
    if (run) {
      const double tower = run->tower_images * fit.cost.operations.tower_per_image / rates->products;
      speed.seconds = (run->tokens / speed.tokens_per_second + tower) / there.ranks;
    }
    const auto all_fits = checkpointing_within(cost_of_all(fit.machine).memory, fit.usable);
    if (there.tune.stage == Stage::kTune && all_fits) {
      const StreamSeconds all = predicted_seconds(stream_work(with_all_layers(there), *all_fits), *rates);
      speed.saving = 1 - speed.stream.total() / all.total();
    }
    return speed;
  }

  std::optional<MachineRates> rates(const PlanRequest& there, const Hardware& machine) {
    if (machine.gpu) return assumed_gpu_rates(machine, there.compute);
    if (!cpu_rates_) cpu_rates_ = measured_cpu_rates(there);
    return cpu_rates_;
  }

  const RunPlanRequest& asked_;
  const PlanRequest& request_;
  // What of a machine decides its costs: whether it is a GPU, what it computes in, its memory and its units for e4m3.
  using Kind = std::tuple<bool, Compute, std::int64_t, bool>;
  std::map<Kind, Costs> costs_;
  std::optional<MachineRates> cpu_rates_;
};

}  // namespace

RunPlan plan_run(const RunPlanRequest& asked, const Notes& notes) {
  check_request(asked);
  const Checkpoint checkpoint = open_configuration(asked.model);
  RunPlan plan;
  plan.model = family_name(checkpoint.config.family) + ": " + checkpoint.folder.string();
  plan.layers = asked.layers;
  plan.whole = !checkpoint.weights.entries().empty();
  plan.sample = sample_shape(asked, checkpoint, notes);
  const PlanRequest request = cost_request(asked, checkpoint, plan.sample);
  check_frozen_precision(request.config.decoder, request.tune);
  Planner planner(asked, request);
  const Hardware& first = asked.machines.front().machine;
  plan.request = on_machine(request, first, asked);
  plan.region = planner.cost(first);
  plan.all = planner.cost_of_all(first);
  plan.run = cost_of_run(asked, checkpoint, plan.sample, plan.request, plan.region);
  for (const AskedMachine& machine : asked.machines) {
    if (machine.machine.gpu || machine.machine.memory > 0 || asked.memory) {
      plan.fits.push_back(planner.fit(machine, plan.run));
    }
  }
  plan.cpu_rates = planner.cpu_rates();
  if (plan.request.on_gpu) plan.precisions = fits_by_precision(plan.request);
  plan.request.stored_type = nullptr;  // it refers to the checkpoint, which goes
  return plan;
}

std::int64_t least_memory(const TrainingCost& cost) {
  return cost.memory.total(ActivationCheckpointing::kLayer);
}

void require_fit(const RunPlanRequest& request, const RunPlan& plan) {
  for (const MachineFit& fit : plan.fits) {
    if (fit.asked.empty() && !request.memory) continue;
    const auto fits = [&fit](const MachineFit& other) { return other.asked == fit.asked && other.checkpointing; };
    if (std::ranges::any_of(plan.fits, fits)) continue;
    const bool helps = !fit.advice.empty() && fit.advice.front().fits;
    throw invalid_input(cat(fit.machine.name, " has ", human_bytes(static_cast<std::uint64_t>(fit.usable)),
                            " of usable memory, and this run needs ",
                            human_bytes(static_cast<std::uint64_t>(least_memory(fit.cost))), " or more"),
                        helps ? cat(fit.advice.front().change, " takes ",
                                    human_bytes(static_cast<std::uint64_t>(fit.advice.front().memory)))
                              : std::string("use a larger machine or a smaller model"));
  }
}

}  // namespace striate
