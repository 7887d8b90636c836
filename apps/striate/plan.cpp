// striate plan: what a training run would cost, from the model's headers alone.
#include "striate/train/plan.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/model_flags.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/init_model.h"
#include "striate/model/load.h"
#include "striate/region/layer_set.h"

namespace striate::app {
namespace {

using nlohmann::json;

constexpr std::int64_t kSampleText = 192;    // tokens of a sample beside its picture, where nothing is said
constexpr std::int64_t kSampleTargets = 64;  // of them

struct PlanFlags {
  ModelFlags model;
  ComputeFlags compute;
  std::string layers = "uniform:25%", stage = "tune", tune = "lora", memory;
  std::vector<std::string> hardware;
  TuneOptions options;
  std::int64_t tokens_per_stream = 8192;
  std::int64_t sample_tokens = 0;
  std::int64_t sample_targets = kSampleTargets;
  std::int64_t batch = 0;
  bool text_only = false;
  bool json = false;
};

// A machine, the plan for it, and what of it fits.
struct Fit {
  Hardware machine;
  std::int64_t usable = 0;
  TrainingCost cost;
  std::optional<ActivationPolicy> policy;
  std::vector<Advice> advice;
};

struct Planned {
  std::string model;
  PlanRequest request;
  TrainingCost region;
  TrainingCost all;
  std::vector<Fit> fits;
};

// The request as for a machine: GPUs compute in bf16.
PlanRequest on_machine(PlanRequest request, const Hardware& machine, const ComputeFlags& flags) {
  request.on_gpu = machine.gpu;
  const bool fp32 = flags.precision == "fp32";
  const bool bf16 = flags.precision == "bf16" || (!fp32 && (machine.gpu || best_compute() == Compute::kBFloat16));
  request.compute = bf16 ? Compute::kBFloat16 : Compute::kFloat32;
  return request;
}

void describe_stream(const PlanFlags& flags, PlanRequest& request) {
  const std::int64_t rows = request.config.vision && !flags.text_only ? request.config.vision->tokens() : 0;
  const std::int64_t sample = flags.sample_tokens > 0 ? flags.sample_tokens : rows + kSampleText;
  if (sample < rows + 1) {
    throw invalid_input(cat("--sample-tokens ", sample, ": a picture alone has ", rows), "give more, or --text-only");
  }
  if (flags.tokens_per_stream < sample) {
    throw invalid_input(cat("--tokens-per-stream ", flags.tokens_per_stream, ": a sample has ", sample),
                        "give more, or shorter samples with --sample-tokens");
  }
  if (flags.sample_targets >= sample - rows) {
    throw invalid_input(
        cat("--sample-targets ", flags.sample_targets, ": a sample has ", sample - rows, " tokens of text"),
        "give fewer than that");
  }
  PlannedStream& stream = request.stream;
  stream.tokens = flags.tokens_per_stream;
  stream.samples = flags.tokens_per_stream / sample;
  stream.image_rows = stream.samples * rows;
  stream.targets = stream.samples * flags.sample_targets;
  const std::int64_t batch = flags.batch > 0 ? flags.batch : flags.stage == "align" ? 256 : 128;
  request.streams = (batch + stream.samples - 1) / stream.samples;
}

PlanRequest request_of(const PlanFlags& flags, const Checkpoint& checkpoint) {
  PlanRequest request;
  request.config = checkpoint.config;
  request.tune = flags.options;
  request.tune.stage = flags.stage == "align"      ? Stage::kAlign
                       : flags.stage == "pretrain" ? Stage::kPretrain
                                                   : Stage::kTune;
  request.tune.kind = flags.tune == "full" ? TuneKind::kFull : TuneKind::kLora;
  if (request.tune.stage == Stage::kTune) {
    request.tune.layers = parse_layer_set(flags.layers, checkpoint.config.decoder);
  }
  const WeightSource& weights = checkpoint.weights;
  request.stored_type = [&weights](const std::string& name) {
    const WeightSource::Entry* entry = weights.find(name);
    return entry == nullptr ? at::kBFloat16 : entry->info->dtype;
  };
  describe_stream(flags, request);
  return request;
}

Fit fit_of(const PlanFlags& flags, const PlanRequest& request, const Hardware& machine, std::int64_t usable) {
  const PlanRequest there = on_machine(request, machine, flags.compute);
  Fit fit{machine, usable, plan_cost(there), {}, {}};
  fit.policy = policy_within(fit.cost.memory, usable);
  if (!fit.policy) fit.advice = advise(there, usable);
  return fit;
}

Planned plan(const PlanFlags& flags) {
  const Checkpoint checkpoint = open_checkpoint(flags.model.paths());
  const PlanRequest request = request_of(flags, checkpoint);
  const Placement placement = flags.compute.placement();
  std::vector<Hardware> machines;
  for (const std::string& name : flags.hardware) machines.push_back(find_hardware(name));
  if (machines.empty()) {
    if (flags.memory.empty()) machines = known_hardware();
    machines.insert(machines.begin(), {"this machine", free_memory(), placement.device.is_cuda()});
    // A GPU's memory is not the main memory that free_memory() tells: this machine's is among the names.
    if (placement.device.is_cuda() && flags.memory.empty()) machines.erase(machines.begin());
  }
  Planned planned;
  planned.model = family_name(checkpoint.config.family) + ": " + checkpoint.folder.string();
  planned.request = on_machine(request, machines.front(), flags.compute);
  planned.region = plan_cost(planned.request);
  planned.all = plan_cost(with_all_layers(planned.request));
  for (const Hardware& machine : machines) {
    const std::int64_t usable = flags.memory.empty() ? usable_memory(machine)
                                                     : static_cast<std::int64_t>(parse_bytes(flags.memory, "--memory"));
    if (usable > 0) planned.fits.push_back(fit_of(flags, request, machine, usable));
  }
  planned.request.stored_type = nullptr;  // it refers to the checkpoint, which goes
  return planned;
}

std::string bytes(std::int64_t count) {
  return human_bytes(static_cast<std::uint64_t>(count));
}

std::string operations(double count) {
  return human_count(static_cast<std::uint64_t>(count));
}

std::string percent(double share) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(share < 0.1 ? 1 : 0) << 100 * share << '%';
  return out.str();
}

void print_row(const std::string& name, const std::string& region, const std::string& all) {
  std::cout << "  " << std::left << std::setw(34) << name << std::right << std::setw(12) << region;
  if (!all.empty()) std::cout << std::setw(12) << all;
  std::cout << '\n';
}

void print_head(const PlanFlags& flags, const Planned& p) {
  const PlanRequest& r = p.request;
  const auto field = [](const std::string& name, const std::string& value) {
    std::cout << "  " << std::left << std::setw(14) << name << value << '\n';
  };
  std::cout << p.model << '\n';
  if (r.tune.stage == Stage::kTune) {
    field("region", cat(flags.layers, ": ", r.tune.layers.size(), " of ", r.config.decoder.layers, " layers (",
                        layer_list_text(r.tune.layers), ")"));
  }
  std::vector<std::string> parts;
  const auto part = [&](std::int64_t count, const std::string& what) {
    if (count > 0) parts.push_back(cat(human_count(static_cast<std::uint64_t>(count)), " ", what));
  };
  part(p.region.adapter, cat("adapters of rank ", r.tune.lora.rank));
  part(p.region.decoder, "weights of the decoder");
  part(p.region.projector, "projector");
  part(p.region.vision_tower, "vision tower");
  field("trained", cat(join(parts, ", "), "; ",
                       percent(static_cast<double>(p.region.parameters) / static_cast<double>(p.region.model)), " of ",
                       human_count(static_cast<std::uint64_t>(p.region.model))));
  field("backward pass", p.region.lowest_backward_layer < r.config.decoder.layers
                             ? cat("down to layer ", p.region.lowest_backward_layer)
                             : std::string("none through the decoder"));
  field("stream", cat(r.stream.tokens, " tokens: ", r.stream.samples, " samples, ", r.stream.image_rows,
                      " image rows, ", r.stream.targets, " learned"));
  field("compute", cat(compute_name(r.compute), r.on_gpu ? " on a GPU" : " on the CPU"));
}

void print_memory(const Planned& p, bool compare) {
  const MemoryPlan& a = p.region.memory;
  const MemoryPlan& b = p.all.memory;
  const auto row = [&](const std::string& name, std::int64_t region, std::int64_t all) {
    print_row(name, bytes(region), compare ? bytes(all) : "");
  };
  std::cout << '\n';
  print_row("memory", "this region", compare ? "all" : "");
  row("frozen weights", a.weights, b.weights);
  row("trained values", a.parameters, b.parameters);
  row("gradients", a.gradients, b.gradients);
  row("optimiser's moments", a.moments, b.moments);
  row("features of a step's pictures", a.features, b.features);
  for (const ActivationPolicy policy : kPolicies) {
    const auto place = static_cast<std::size_t>(policy);
    row("activations, " + policy_name(policy), a.activations[place], b.activations[place]);
  }
  row("vision tower, between passes", a.tower, b.tower);
  for (const ActivationPolicy policy : kPolicies) {
    row("in all, " + policy_name(policy), a.total(policy), b.total(policy));
  }
}

void print_operations(const Planned& p, bool compare) {
  const OperationsPlan& a = p.region.operations;
  const OperationsPlan& b = p.all.operations;
  const auto row = [&](const std::string& name, double region, double all) {
    print_row(name, operations(region), compare ? operations(all) : "");
  };
  std::cout << '\n';
  print_row("operations per token", "this region", compare ? "all" : "");
  row("forward", a.forward, b.forward);
  row("input gradient", a.input_gradient, b.input_gradient);
  row("weight gradient", a.weight_gradient, b.weight_gradient);
  row("head", a.head, b.head);
  for (const ActivationPolicy policy : {ActivationPolicy::kRecomputeMlp, ActivationPolicy::kRecomputeLayer}) {
    const auto place = static_cast<std::size_t>(policy);
    row(policy_name(policy), a.recompute[place], b.recompute[place]);
  }
  row("in all, keep", a.total(ActivationPolicy::kKeep), b.total(ActivationPolicy::kKeep));
  if (a.tower_per_image > 0) {
    std::cout << "  (and " << operations(a.tower_per_image) << " for each picture the tower looks at)\n";
  }
  if (!compare) return;
  const auto saving = [](double part, double whole) { return percent(1 - part / whole); };
  constexpr ActivationPolicy kKeep = ActivationPolicy::kKeep;
  std::cout << "\n  saving against all: " << saving(a.total(kKeep), b.total(kKeep)) << " of the operations, "
            << saving(static_cast<double>(p.region.memory.total(kKeep)), static_cast<double>(p.all.memory.total(kKeep)))
            << " of the memory\n";
}

void print_fits(const Planned& p) {
  std::cout << "\n  does it fit?\n";
  for (const Fit& fit : p.fits) {
    std::cout << "  " << std::left << std::setw(14) << fit.machine.name << std::right << std::setw(10)
              << bytes(fit.usable) << "  ";
    if (fit.policy) {
      std::cout << policy_name(*fit.policy) << ", " << bytes(fit.cost.memory.total(*fit.policy)) << '\n';
      continue;
    }
    std::cout << "no: " << bytes(fit.cost.memory.total(ActivationPolicy::kRecomputeLayer)) << " at least";
    for (const Advice& advice : fit.advice) {
      if (advice.fits) std::cout << "; " << advice.change << " takes " << bytes(advice.memory);
    }
    std::cout << '\n';
  }
  std::cout.flush();
}

json cost_json(const TrainingCost& cost) {
  json activations, recompute, totals, operations_total;
  for (const ActivationPolicy policy : kPolicies) {
    const auto place = static_cast<std::size_t>(policy);
    activations[policy_name(policy)] = cost.memory.activations[place];
    recompute[policy_name(policy)] = cost.operations.recompute[place];
    totals[policy_name(policy)] = cost.memory.total(policy);
    operations_total[policy_name(policy)] = cost.operations.total(policy);
  }
  return {{"parameters",
           {{"trained", cost.parameters},
            {"adapters", cost.adapter},
            {"projector", cost.projector},
            {"decoder", cost.decoder},
            {"vision_tower", cost.vision_tower},
            {"model", cost.model}}},
          {"lowest_backward_layer", cost.lowest_backward_layer},
          {"memory_bytes",
           {{"weights", cost.memory.weights},
            {"parameters", cost.memory.parameters},
            {"gradients", cost.memory.gradients},
            {"moments", cost.memory.moments},
            {"features", cost.memory.features},
            {"tower", cost.memory.tower},
            {"activations", activations},
            {"total", totals}}},
          {"operations_per_token",
           {{"forward", cost.operations.forward},
            {"input_gradient", cost.operations.input_gradient},
            {"weight_gradient", cost.operations.weight_gradient},
            {"head", cost.operations.head},
            {"recompute", recompute},
            {"total", operations_total}}},
          {"tower_operations_per_image", cost.operations.tower_per_image}};
}

json plan_json(const PlanFlags& flags, const Planned& p, bool compare) {
  json fits = json::array();
  for (const Fit& fit : p.fits) {
    json advice = json::array();
    for (const Advice& one : fit.advice) {
      advice.push_back({{"change", one.change}, {"bytes", one.memory}, {"fits", one.fits}});
    }
    fits.push_back({{"machine", fit.machine.name},
                    {"usable_bytes", fit.usable},
                    {"policy", fit.policy ? json(policy_name(*fit.policy)) : json(nullptr)},
                    {"bytes", fit.cost.memory.total(fit.policy.value_or(ActivationPolicy::kRecomputeLayer))},
                    {"advice", advice}});
  }
  const PlanRequest& r = p.request;
  return {{"model", p.model},
          {"spec", flags.layers},
          {"layers", r.tune.layers},
          {"stream",
           {{"tokens", r.stream.tokens},
            {"samples", r.stream.samples},
            {"image_rows", r.stream.image_rows},
            {"targets", r.stream.targets}}},
          {"compute", compute_name(r.compute)},
          {"gpu", r.on_gpu},
          {"region", cost_json(p.region)},
          {"all", compare ? cost_json(p.all) : json(nullptr)},
          {"machines", fits}};
}

// The plan is out; that the machine asked about is too small is an error all the same.
void refuse_too_small(const PlanFlags& flags, const Planned& p) {
  if (flags.hardware.empty() && flags.memory.empty()) return;
  for (const Fit& fit : p.fits) {
    if (fit.policy) continue;
    const bool helps = !fit.advice.empty() && fit.advice.front().fits;
    throw invalid_input(cat(fit.machine.name, " has ", bytes(fit.usable), " for this run, which takes ",
                            bytes(fit.cost.memory.total(ActivationPolicy::kRecomputeLayer)), " at least"),
                        helps ? cat(fit.advice.front().change, " takes ", bytes(fit.advice.front().memory))
                              : std::string("take a larger machine, or a smaller model"));
  }
}

void run_plan(const PlanFlags& flags) {
  const Planned planned = plan(flags);
  const bool compare = planned.request.tune.stage == Stage::kTune;
  if (flags.json) {
    std::cout << plan_json(flags, planned, compare).dump(2, ' ', false, json::error_handler_t::replace) << std::endl;
  } else {
    print_head(flags, planned);
    print_memory(planned, compare);
    print_operations(planned, compare);
    print_fits(planned);
  }
  refuse_too_small(flags, planned);
}

}  // namespace

void add_plan(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<PlanFlags>();
  CLI::App* c = app.add_subcommand("plan", "Show what a training run would cost, before anything runs");
  flags->model.add_to(*c);
  flags->compute.add_to(*c);
  c->add_option("--layers", flags->layers, "Which layers training may change (docs/regions.md)")
      ->type_name("SPEC")
      ->capture_default_str();
  c->add_option("--stage", flags->stage, "align, tune or pretrain")
      ->check(CLI::IsMember({"align", "tune", "pretrain"}))
      ->capture_default_str();
  c->add_option("--tune", flags->tune, "lora: adapters on the layers; full: all their weights")
      ->check(CLI::IsMember({"lora", "full"}))
      ->capture_default_str();
  c->add_option("--lora-r", flags->options.lora.rank, "Rank of the adapters")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  c->add_option("--lora-dropout", flags->options.lora.dropout, "Share of the adapters' inputs that is dropped")
      ->check(CLI::Range(0.0, 0.999))
      ->capture_default_str();
  c->add_option("--lora-targets", flags->options.lora.targets, "Linears that get one; default: every linear")
      ->delimiter(',')
      ->type_name("NAMES");
  c->add_flag("--freeze-projector", flags->options.freeze_projector, "Leave the projector as it is");
  c->add_flag("--tune-vision-tower", flags->options.tune_vision_tower, "Train the vision tower as well");
  c->add_option("--batch", flags->batch, "Samples per step on one rank; default: 128 (256 for align)")->type_name("N");
  c->add_option("--tokens-per-stream", flags->tokens_per_stream, "Tokens that pass through the model at once")
      ->check(CLI::Range(2, 1 << 26))
      ->capture_default_str();
  c->add_option("--sample-tokens", flags->sample_tokens, "Tokens of a sample; default: a picture's rows and 192")
      ->type_name("N");
  c->add_option("--sample-targets", flags->sample_targets, "How many of them are learned")
      ->check(CLI::Range(1, 1 << 26))
      ->capture_default_str();
  c->add_flag("--text-only", flags->text_only, "Samples without pictures");
  c->add_option("--hardware", flags->hardware, "Fit it to these machines: a100-80, rtx-4090, this, ...")
      ->delimiter(',')
      ->type_name("NAMES");
  c->add_option("--memory", flags->memory, "Fit it into so much memory")->type_name("SIZE");
  c->add_flag("--json", flags->json, "Print one JSON object and nothing else");
  c->footer(example("striate plan --model llava-1.5-7b-hf --layers uniform:25% --hardware rtx-4090"));
  c->callback([flags, &run] { run.action = [flags] { run_plan(*flags); }; });
}

}  // namespace striate::app
