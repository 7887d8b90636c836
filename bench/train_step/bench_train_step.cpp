// bench_train_step: Striate's side of bench/train_step/run.py. Loads a checkpoint once, makes a region trainable and
// answers commands.
//
//   {"do": "train", "steps": [[sample, ...], ...], "threads": N}   one optimiser step for each list of samples;
//                                   with "deterministic": false a GPU adds up gradients in any order
//   {"do": "predict", "steps": ..., "threads": N, "clock": "cpu"}  what train/speed_model.h says of the same steps
//   {"do": "export", "file": F}                                    the trained parameters, as safetensors
//   {"do": "memory"}                                               the peak of the resident memory in bytes
//
// With --floor nothing is trained: `train` times the products that the same steps cannot do without.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/bench_device.h"
#include "bench/entry.h"
#include "bench/line_server.h"
#include "bench/train_step/product_floor.h"
#include "bench/train_step/train_work.h"
#include "striate/base/error.h"
#include "striate/files/weight_file.h"
#include "striate/train/optimizer.h"
#include "striate/train/speed_model.h"
#include "striate/train/train_pass.h"

namespace striate::bench {
namespace {

struct Flags {
  std::string model, work, device = "cpu", compute = "auto", policy = "keep";
  TuneMethod tune;
  std::vector<std::int64_t> layers;
  double lr = 0, projector_lr = 0;
  bool floor = false;
};

TuneOptions tune_options(const Flags& flags, std::int64_t depth) {
  return {flags.tune, LayerSet(depth, flags.layers)};
}

nlohmann::json as_json(const Stopwatch::Seconds& seconds) {
  return {{"wall", seconds.wall}, {"cpu", seconds.cpu}};
}

Checkpoint open_folder(const std::string& folder) {
  ModelPaths paths;
  paths.model = folder;
  return open_checkpoint(paths);
}

Placement chosen_placement(const Flags& flags) {
  Placement placement;
  placement.device = device_named(flags.device);
  placement.compute = flags.compute == "fp32"   ? Compute::kFloat32
                      : flags.compute == "bf16" ? Compute::kBFloat16
                                                : best_compute(placement.device);
  return placement;
}

// With the layers outside the region in the precision that is asked for.
std::unique_ptr<Lvlm> load_to_train(const Flags& flags, Placement placement) {
  const Checkpoint checkpoint = open_folder(flags.model);
  const DecoderConfig& decoder = checkpoint.config.decoder;
  placement.quantized = quantized_layers(decoder, tune_options(flags, decoder.layers));
  return load_model(checkpoint, placement);
}

ActivationCheckpointing chosen_policy(const std::string& name) {
  if (name == "keep") return ActivationCheckpointing::kNone;
  return name == "recompute-mlp" ? ActivationCheckpointing::kMlp : ActivationCheckpointing::kLayer;
}

// Answers what both kinds of worker are asked.
class Worker {
 public:
  explicit Worker(const Flags& flags) : placement_(chosen_placement(flags)), work_(flags.work) {}
  virtual ~Worker() = default;

  virtual nlohmann::json greeting() const {
    return {{"compute", compute_name(compute())},
            {"device", device_description(placement_.device)},
            {"cpu", cpu_description()}};
  }

  virtual nlohmann::json answer(const nlohmann::json& command) {
    const std::string what = command.at("do");
    if (what == "memory") return {{"peak", peak_memory(placement_.device)}};
    if (what != "train") throw invalid_input("no command " + what, "known: train, memory and, without --floor, export");
    return train(streams(command), command.value("deterministic", true));
  }

 protected:
  Compute compute() const { return placement_.compute; }
  const Placement& placement() const { return placement_; }

  std::vector<PackedBatch> streams(const nlohmann::json& command) const {
    at::set_num_threads(command.at("threads"));
    std::vector<PackedBatch> streams;
    for (const nlohmann::json& step : command.at("steps")) {
      streams.push_back(work_.stream(step, compute_dtype(compute())));
    }
    return streams;
  }

 private:
  virtual nlohmann::json train(const std::vector<PackedBatch>& streams, bool deterministic) = 0;

  Placement placement_;
  TrainWork work_;
};

class FloorWorker final : public Worker {
 public:
  explicit FloorWorker(const Flags& flags)
      : Worker(flags), floor_(open_folder(flags.model), placement(), lowest_trained(flags)) {}

 private:
  static std::optional<std::int64_t> lowest_trained(const Flags& flags) {
    if (!flags.tune.freeze_projector) return std::nullopt;
    return *std::min_element(flags.layers.begin(), flags.layers.end());
  }

  nlohmann::json train(const std::vector<PackedBatch>& streams, bool /*deterministic*/) override {
    Stopwatch::Seconds seconds;
    for (const PackedBatch& stream : streams) seconds += floor_.time(stream.tokens(), stream.targets.size(0));
    return {{"seconds", as_json(seconds)}};
  }

  ProductFloor floor_;
};

class TrainingWorker final : public Worker {
 public:
  explicit TrainingWorker(const Flags& flags)
      : Worker(flags),
        model_(load_to_train(flags, placement())),
        tunable_(*model_, tune_options(flags, model_->config().decoder.layers)),
        policy_(chosen_policy(flags.policy)),
        pass_(tunable_, policy_),
        any_order_(tunable_, policy_, nullptr, /*deterministic=*/false),
        optimizer_(tunable_.parameters(), AdamWOptions{}) {
    rates_.adapter = flags.lr;
    rates_.projector = flags.projector_lr;
  }

  nlohmann::json greeting() const override {
    nlohmann::json greeting = Worker::greeting();
    greeting["trained"] = tunable_.parameters().count();
    return greeting;
  }

  nlohmann::json answer(const nlohmann::json& command) override {
    if (command.at("do") == "predict") {
      return predict(streams(command), command.at("clock") == "cpu" ? RateClock::kProcessor : RateClock::kWall);
    }
    if (command.at("do") != "export") return Worker::answer(command);
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for (const auto& parameter : tunable_.parameters().all())
      tensors.emplace_back(parameter->name, parameter->value.cpu());
    write_safetensors(OutputPath::named(command.at("file").get<std::string>(), Existing::kReplace), tensors);
    return nlohmann::json::object();
  }

 private:
  // From rates measured now, as `striate plan` measures them.
  nlohmann::json predict(const std::vector<PackedBatch>& streams, RateClock clock) const {
    PlanRequest request;
    request.config = model_->config();
    request.tune = tunable_.options();
    request.compute = compute();
    std::optional<MachineRates> rates;
    StreamSeconds sum;
    for (const PackedBatch& stream : streams) {
      request.stream = {.tokens = stream.tokens(),
                        .image_rows = stream.image_slots.size(0),
                        .targets = stream.targets.size(0),
                        .samples = stream.cu_seqlens.size(0) - 1};
      if (!rates) rates = measured_cpu_rates(request, clock);
      const StreamSeconds one = predicted_seconds(stream_work(request, policy_), *rates);
      sum.products += one.products;
      sum.adapters += one.adapters;
      sum.attention += one.attention;
      sum.moved += one.moved;
      sum.launches += one.launches;
    }
    return {{"seconds", sum.total()},     {"products", sum.products}, {"adapters", sum.adapters},
            {"attention", sum.attention}, {"memory", sum.moved},      {"launches", sum.launches}};
  }

  nlohmann::json train(const std::vector<PackedBatch>& streams, bool deterministic) override {
    std::vector<double> losses;
    const Stopwatch stopwatch;
    for (const PackedBatch& stream : streams) losses.push_back(step(stream, deterministic ? pass_ : any_order_));
    return {{"seconds", as_json(stopwatch.seconds())}, {"losses", losses}};
  }

  // As transformers' Trainer does it: the mean loss of the step's targets, gradients clipped to norm 1, AdamW.
  double step(const PackedBatch& stream, TrainPass& pass) {
    const auto targets = static_cast<double>(stream.targets.size(0));
    const PassResult result = pass.run(stream, 1.0 / targets, optimizer_.updates());
    ParameterSet& parameters = tunable_.parameters();
    if (placement().device.is_cpu()) {
      optimizer_.step(rates_, clip_factor(gradient_norm(parameters), 1.0));
    } else {
      optimizer_.step_if_finite(rates_, 1.0);
    }
    parameters.zero_gradients();
    const at::Tensor losses = result.nll.cpu();  // waits for the whole step
    const float* nll = losses.const_data_ptr<float>();
    return std::accumulate(nll, nll + losses.numel(), 0.0) / targets;
  }

  std::unique_ptr<Lvlm> model_;
  Tunable tunable_;
  ActivationCheckpointing policy_;
  TrainPass pass_, any_order_;
  AdamW optimizer_;
  GroupRates rates_;
};

std::unique_ptr<Worker> make_worker(const Flags& flags) {
  if (flags.floor) return std::make_unique<FloorWorker>(flags);
  return std::make_unique<TrainingWorker>(flags);
}

int run(int argc, char** argv) {
  CLI::App app("Times Striate's training steps for bench/train_step/run.py.", "bench_train_step");
  Flags flags;
  flags.tune.lora.dropout = 0.0;
  app.add_option("--model", flags.model, "A Hugging Face model folder")->required()->check(CLI::ExistingDirectory);
  app.add_option("--work", flags.work, "The samples, as run.py writes them")->required()->check(CLI::ExistingFile);
  app.add_option("--device", flags.device, "cpu, cuda, pretend");
  app.add_option("--compute", flags.compute, "auto, fp32, bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
  app.add_option("--policy", flags.policy, "What is kept for the backward pass")
      ->check(CLI::IsMember({"keep", "recompute-mlp", "recompute-layer"}));
  app.add_option("--layers", flags.layers, "The region: 0,4,8,12")->required()->delimiter(',');
  app.add_option("--rank", flags.tune.lora.rank, "LoRA's rank; alpha is twice that")->required();
  std::string precision = "bf16";
  app.add_option("--frozen-precision", precision, "Of the layers outside the region: bf16, int8, fp8, nf4")
      ->check(CLI::IsMember({"bf16", "int8", "fp8", "nf4"}));
  app.add_flag("--freeze-projector", flags.tune.freeze_projector, "Train the region alone");
  app.add_option("--lr", flags.lr, "The adapters' learning rate")->required();
  app.add_option("--projector-lr", flags.projector_lr, "The projector's learning rate")->required();
  app.add_flag("--floor", flags.floor, "Time only the products that every program needs");
  CLI11_PARSE(app, argc, argv);
  for (const FrozenPrecision each : kFrozenPrecisions) {
    if (frozen_precision_name(each) == precision) flags.tune.frozen_precision = each;
  }
  flags.tune.lora.alpha = 2.0 * static_cast<double>(flags.tune.lora.rank);
  const std::unique_ptr<Worker> worker = make_worker(flags);
  serve(worker->greeting(), [&](const nlohmann::json& command) { return worker->answer(command); });
  return 0;
}

}  // namespace
}  // namespace striate::bench

int main(int argc, char** argv) {
  return striate::bench::run_guarded(striate::bench::run, argc, argv);
}
