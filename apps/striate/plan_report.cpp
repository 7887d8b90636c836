#include "apps/striate/plan_report.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "apps/striate/fields.h"
#include "apps/striate/flag_names.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

using nlohmann::json;

std::string bytes(std::int64_t count) {
  return human_bytes(static_cast<std::uint64_t>(count));
}

std::string operations(double count) {
  return human_count(static_cast<std::uint64_t>(count));
}

// Whether there is something to compare a region with.
bool is_region(const RunPlan& p) {
  return p.request.tune.stage == Stage::kTune;
}

std::string rounded(double value) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(value < 10 ? 1 : 0) << value;
  return out.str();
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

double saved(double part, double whole) {
  return 1 - part / whole;
}

// A region's gain is more than its share of the operations: what was measured stands beside what is counted.
void print_why(const RunPlan& p) {
  constexpr ActivationCheckpointing kNone = ActivationCheckpointing::kNone;
  if (!is_region(p) || p.request.tune.layers.count() == p.request.config.decoder.layers) {
    return;
  }
  const double operations = saved(p.region.operations.total(kNone), p.all.operations.total(kNone));
  const double memory =
      saved(static_cast<double>(p.region.memory.total(kNone)), static_cast<double>(p.all.memory.total(kNone)));
  std::cout << "  why a region  against tuning all layers, it saves " << percent(operations)
            << " of the operations and " << percent(memory) << " of the memory.\n"
            << "                Measured times: a quarter of the layers took 22% less time than all layers in a\n"
            << "                miniature and 9% less in a wide model, with 9.1% and 4.5% fewer operations\n"
            << "                (docs/performance.md); the paper reports 13 to 23% less time.\n";
}

void print_head(const RunPlan& p) {
  const PlanRequest& r = p.request;
  std::cout << printable(p.model) << '\n';
  if (!p.whole) print_field("weights", "none in this folder: planned from config.json");
  print_why(p);
  if (is_region(p)) {
    print_field("region", cat(p.layers, ": ", r.tune.layers.size(), " of ", r.config.decoder.layers, " layers (",
                              r.tune.layers.list(), ")"));
  }
  std::vector<std::string> parts;
  const auto part = [&](std::int64_t count, const std::string& what) {
    if (count > 0) parts.push_back(cat(human_count(static_cast<std::uint64_t>(count)), " ", what));
  };
  part(p.region.adapter, cat("adapters of rank ", r.tune.lora.rank));
  part(p.region.decoder, "weights of the decoder");
  part(p.region.projector, "projector");
  part(p.region.vision_tower, "vision tower");
  print_field("trained", cat(join(parts, ", "), "; ",
                             percent(static_cast<double>(p.region.parameters) / static_cast<double>(p.region.model)),
                             " of ", human_count(static_cast<std::uint64_t>(p.region.model))));
  print_field("backward pass", p.region.lowest_backward_layer < r.config.decoder.layers
                                   ? cat("down to layer ", p.region.lowest_backward_layer)
                                   : std::string("none through the decoder"));
  print_field("stream", cat(counted(r.stream.tokens, "token"), ": ", counted(r.stream.samples, "sample"), ", ",
                            counted(r.stream.image_rows, "image row"), ", ", counted(r.stream.targets, "target")));
  if (r.ranks > 1) {
    print_field("ranks", cat(r.ranks, ", each with what follows; in a step each sends ", bytes(p.region.traffic),
                             " to the others", r.shard_optimizer ? "; the optimiser's state is divided" : ""));
  }
  print_field("compute", cat(compute_name(r.compute), r.on_gpu ? " on a GPU" : " on the CPU"));
}

void print_run(const RunPlan& p) {
  if (!p.run) return;
  std::cout << "\n  the run\n";
  if (const auto& data = p.sample.data) {
    const std::string bad = data->bad == 0 ? "" : cat("; ", data->bad, " of those are bad (see striate data check)");
    print_field("data", cat(counted(data->samples, "sample"), "; ", data->looked_at, " read: ", rounded(data->tokens),
                            " tokens each, ", rounded(data->targets), " targets, ", rounded(data->images),
                            " pictures, the longest has ", data->longest, bad));
  }
  print_field("steps", cat(p.run->steps, ", ", human_count(static_cast<std::uint64_t>(p.run->tokens)), " tokens"));
  std::string features = p.run->feature_bytes > 0 ? cat(", pictures' features ", bytes(p.run->feature_bytes)) : "";
  print_field("disk", cat(bytes(p.run->disk()), ": ", counted(p.run->checkpoints, "checkpoint"), " of ",
                          bytes(p.run->checkpoint), ", the result ", bytes(p.run->result_bytes), features));
}

void print_memory(const RunPlan& p, bool compare) {
  const MemoryPlan& a = p.region.memory;
  const MemoryPlan& b = p.all.memory;
  const auto row = [&](const std::string& name, std::int64_t region, std::int64_t all) {
    print_row(name, bytes(region), compare ? bytes(all) : "");
  };
  std::cout << '\n';
  print_row("memory", "this region", compare ? "all layers" : "");
  row("frozen weights", a.weights, b.weights);
  if (a.quantized > 0) {
    row(cat("  of them in ", frozen_precision_name(p.request.tune.frozen_precision)), a.quantized, b.quantized);
  }
  row("trained values", a.parameters, b.parameters);
  row("gradients", a.gradients, b.gradients);
  row("optimiser's moments", a.moments, b.moments);
  if (a.exchange > 0) row("gradients under way between ranks", a.exchange, b.exchange);
  row(a.tower_beside ? "pictures' features" : "features of a step's pictures", a.features, b.features);
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    const auto place = static_cast<std::size_t>(checkpointing);
    row("activations, " + checkpointing_name(checkpointing), a.activations[place], b.activations[place]);
  }
  row(a.tower_beside ? "vision tower, beside a pass" : "vision tower, between passes", a.tower, b.tower);
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    row("total, " + checkpointing_name(checkpointing), a.total(checkpointing), b.total(checkpointing));
  }
}

void print_operations(const RunPlan& p, bool compare) {
  const OperationsPlan& a = p.region.operations;
  const OperationsPlan& b = p.all.operations;
  const auto row = [&](const std::string& name, double region, double all) {
    print_row(name, operations(region), compare ? operations(all) : "");
  };
  std::cout << '\n';
  print_row("operations per token", "this region", compare ? "all layers" : "");
  row("forward", a.forward, b.forward);
  row("input gradient", a.input_gradient, b.input_gradient);
  row("weight gradient", a.weight_gradient, b.weight_gradient);
  row("head", a.head, b.head);
  for (const ActivationCheckpointing checkpointing : {ActivationCheckpointing::kMlp, ActivationCheckpointing::kLayer}) {
    const auto place = static_cast<std::size_t>(checkpointing);
    row(checkpointing_name(checkpointing), a.recompute[place], b.recompute[place]);
  }
  row("total, keep", a.total(ActivationCheckpointing::kNone), b.total(ActivationCheckpointing::kNone));
  if (a.tower_per_image > 0) {
    std::cout << "  (plus " << operations(a.tower_per_image) << " for each picture in the vision tower)\n";
  }
}

void print_speed(const PredictedSpeed& speed, bool region) {
  const double rate = speed.tokens_per_second;
  std::cout << ", " << (rate < 100 ? rounded(rate) : operations(rate)) << " tokens/s";
  if (speed.seconds) std::cout << ", about " << human_duration(std::max(1.0, *speed.seconds));
  if (speed.saving) std::cout << ", " << percent(std::max(0.0, *speed.saving)) << " less time than all layers";
  if (region && !speed.saving) std::cout << ", all layers do not fit";
}

void print_fit(const MachineFit& fit, bool region) {
  std::cout << "  " << std::left << std::setw(14) << fit.machine.name << std::right << std::setw(10)
            << bytes(fit.usable) << "  ";
  if (fit.checkpointing) {
    std::cout << checkpointing_name(*fit.checkpointing) << ", " << bytes(fit.cost.memory.total(*fit.checkpointing));
    if (fit.speed) print_speed(*fit.speed, region);
    std::cout << '\n';
    return;
  }
  std::cout << "too small: the run needs " << bytes(least_memory(fit.cost));
  for (const Advice& advice : fit.advice) {
    if (advice.fits) std::cout << "; " << with_flags(advice.change) << " takes " << bytes(advice.memory);
  }
  std::cout << '\n';
}

void print_fits(const RunPlan& p) {
  std::cout << "\n  machines: usable memory, activations, peak memory; predicted: tokens/s" << (p.run ? ", time" : "")
            << (is_region(p) ? ", saving" : "") << '\n';
  for (const MachineFit& fit : p.fits) print_fit(fit, is_region(p));
  if (!p.run) std::cout << "  (give --data FILE or --steps N for steps, hours and disk)\n";
  std::cout << "  Speed is predicted, not measured: a GPU's from its maker's figures";
  if (p.cpu_rates) {
    std::cout << ", this machine's from rates measured just\n  now (products " << operations(p.cpu_rates->products)
              << " operations per second)";
  }
  std::cout << "; docs/plan.md has the model.\n";
}

// A line of columns.
void print_columns(const std::vector<std::string>& texts) {
  constexpr int kWidths[] = {8, 20, 17};  // precision, memory, each card
  std::cout << "  " << std::left;
  for (std::size_t i = 0; i + 1 < texts.size(); ++i) {
    std::cout << std::setw(kWidths[std::min<std::size_t>(i, 2)]) << texts[i];
  }
  std::cout << texts.back() << '\n' << std::right;
}

// Which cards the run fits with its frozen layers in fewer bits.
void print_precisions(const RunPlan& p) {
  if (p.precisions.empty()) return;
  std::vector<std::string> head = {"frozen", "memory"};
  for (const std::int64_t size : kCardSizes) head.push_back(cat(size, " GB"));
  std::cout << '\n';
  print_columns(head);
  for (const PrecisionFit& fit : p.precisions) {
    std::vector<std::string> row = {frozen_precision_name(fit.precision),
                                    cat(bytes(fit.memory.total(ActivationCheckpointing::kLayer)), " to ",
                                        bytes(fit.memory.total(ActivationCheckpointing::kNone)))};
    for (const auto& card : fit.cards) row.push_back(card ? checkpointing_name(*card) : "no");
    print_columns(row);
  }
  std::cout << "  (--frozen-precision, for the layers outside the region, on a GPU)\n";
}

json precisions_json(const RunPlan& p) {
  json all = json::array();
  for (const PrecisionFit& fit : p.precisions) {
    json cards;
    for (std::size_t i = 0; i < fit.cards.size(); ++i) {
      cards[cat(kCardSizes[i])] = fit.cards[i] ? json(checkpointing_name(*fit.cards[i])) : json(nullptr);
    }
    all.push_back({{"precision", frozen_precision_name(fit.precision)},
                   {"weights", fit.memory.weights},
                   {"least_bytes", fit.memory.total(ActivationCheckpointing::kLayer)},
                   {"most_bytes", fit.memory.total(ActivationCheckpointing::kNone)},
                   {"cards_gb", cards}});
  }
  return all;
}

json cost_json(const TrainingCost& cost) {
  json activations, recompute, totals, operations_total;
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    const auto place = static_cast<std::size_t>(checkpointing);
    activations[checkpointing_name(checkpointing)] = cost.memory.activations[place];
    recompute[checkpointing_name(checkpointing)] = cost.operations.recompute[place];
    totals[checkpointing_name(checkpointing)] = cost.memory.total(checkpointing);
    operations_total[checkpointing_name(checkpointing)] = cost.operations.total(checkpointing);
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
            {"quantized_weights", cost.memory.quantized},
            {"parameters", cost.memory.parameters},
            {"gradients", cost.memory.gradients},
            {"moments", cost.memory.moments},
            {"exchange", cost.memory.exchange},
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
          {"traffic_per_step", cost.traffic},
          {"tower_operations_per_image", cost.operations.tower_per_image}};
}

json speed_json(const std::optional<PredictedSpeed>& speed) {
  if (!speed) return nullptr;
  const StreamSeconds& s = speed->stream;
  return {{"tokens_per_second", speed->tokens_per_second},
          {"seconds", speed->seconds ? json(*speed->seconds) : json(nullptr)},
          {"saving", speed->saving ? json(*speed->saving) : json(nullptr)},
          {"stream_bytes", speed->stream_bytes},
          {"stream_seconds",
           {{"products", s.products},
            {"adapters", s.adapters},
            {"attention", s.attention},
            {"memory", s.moved},
            {"launches", s.launches},
            {"total", s.total()}}}};
}

json rates_json(const std::optional<MachineRates>& rates) {
  if (!rates) return nullptr;
  return {{"products", rates->products},
          {"adapters", rates->adapters},
          {"attention", rates->attention},
          {"memory", rates->memory},
          {"launch_seconds", rates->launch}};
}

json run_json(const RunPlan& p) {
  if (!p.run) return nullptr;
  const RunCost& run = *p.run;
  json out = {{"steps", run.steps},
              {"tokens", run.tokens},
              {"tower_images", run.tower_images},
              {"disk_bytes",
               {{"checkpoint", run.checkpoint},
                {"checkpoints", run.checkpoints},
                {"result", run.result_bytes},
                {"features", run.feature_bytes},
                {"total", run.disk()}}}};
  if (const auto& data = p.sample.data) {
    out["data"] = {{"samples", data->samples}, {"looked_at", data->looked_at}, {"bad", data->bad},
                   {"tokens", data->tokens},   {"targets", data->targets},     {"images", data->images},
                   {"longest", data->longest}};
  }
  return out;
}

}  // namespace

void print_plan(const RunPlan& p) {
  print_head(p);
  print_memory(p, is_region(p));
  print_operations(p, is_region(p));
  print_run(p);
  print_fits(p);
  print_precisions(p);
}

json plan_json(const RunPlan& p) {
  json fits = json::array();
  for (const MachineFit& fit : p.fits) {
    json advice = json::array();
    for (const Advice& one : fit.advice) {
      advice.push_back({{"change", with_flags(one.change)}, {"bytes", one.memory}, {"fits", one.fits}});
    }
    fits.push_back({{"machine", fit.machine.name},
                    {"usable_bytes", fit.usable},
                    {"policy", fit.checkpointing ? json(checkpointing_name(*fit.checkpointing)) : json(nullptr)},
                    {"bytes", fit.cost.memory.total(fit.checkpointing.value_or(ActivationCheckpointing::kLayer))},
                    {"predicted", speed_json(fit.speed)},
                    {"advice", advice}});
  }
  const PlanRequest& r = p.request;
  return {{"model", p.model},
          {"spec", p.layers},
          {"layers", r.tune.layers.numbers()},
          {"stream",
           {{"tokens", r.stream.tokens},
            {"samples", r.stream.samples},
            {"image_rows", r.stream.image_rows},
            {"targets", r.stream.targets}}},
          {"compute", compute_name(r.compute)},
          {"frozen_precision", frozen_precision_name(r.tune.frozen_precision)},
          {"precisions", precisions_json(p)},
          {"gpu", r.on_gpu},
          {"ranks", r.ranks},
          {"shard_optimizer", r.shard_optimizer},
          {"region", cost_json(p.region)},
          {"all", is_region(p) ? cost_json(p.all) : json(nullptr)},
          {"run", run_json(p)},
          {"measured_cpu_rates", rates_json(p.cpu_rates)},
          {"machines", fits}};
}

}  // namespace striate::app
