// What a training step may cost on a GPU besides arithmetic, counted on the pretend device: waits, copies, launches.
#include <gtest/gtest.h>

#include <barrier>

#include "striate/base/strings.h"
#include "striate/region/layer_scores.h"
#include "striate/train/trainer.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/strict_group.h"
#include "tests/support/test_device.h"
#include "tests/train/gradient_checks.h"

namespace striate::test {
namespace {

constexpr std::int64_t kSteps = 3;

// The same stream at every step.
class OneStream : public StepSource {
 public:
  // Of so many ranks, each with the same stream.
  explicit OneStream(int ranks = 1) : ranks_(ranks) {}
  TrainingStep next() override {
    TrainingStep step;
    step.streams.push_back(pack(samples()));
    step.sample_names.push_back({"a", "b", "c"});
    step.targets = ranks_ * step.streams[0].targets.size(0);
    step.tokens = ranks_ * step.streams[0].tokens();
    step.samples = 3;
    return step;
  }
  std::int64_t samples_per_epoch() const override { return 3; }
  std::int64_t steps_per_epoch() const override { return 1; }

 private:
  int ranks_;
};

Placement pretend_placement() {
  return {pretend_device(), Compute::kBFloat16};
}

// With the layers outside the region in the precision that is asked for.
Placement placement_to_train(const TuneOptions& options, std::int64_t layers) {
  Placement placement = pretend_placement();
  placement.quantized = quantized_layers(tiny_config({.layers = layers}).decoder, options);
  return placement;
}

ParameterSet& scattered(Tunable& tunable) {
  scatter(tunable);
  return tunable.parameters();
}

// What is trained on one rank.
struct Rig {
  Rig(const TuneOptions& options, ActivationCheckpointing checkpointing, std::int64_t layers, Collective& group,
      bool shared)
      : model(tiny_model_on(placement_to_train(options, layers), {.layers = layers})),
        tunable(*model, options),
        pass(tunable, checkpointing),
        optimizer(scattered(tunable), {}, shared ? &group : nullptr),
        source(group.size()),
        group(group) {
    run.steps = kSteps;
    run.rates = {1e-3, 1e-3, 1e-3, 1e-3};
    run.schedule = {ScheduleKind::kConstant, kSteps, 0};
  }
  // With what a step tells meanwhile.
  void train() {
    TrainerHooks hooks;
    std::int64_t told = 0;
    hooks.on_step = [&told](const StepMetrics&) { ++told; };
    Trainer(tunable, pass, source, optimizer, group, run, hooks, {}).run();
    EXPECT_EQ(told, group.rank() == 0 ? kSteps : 0);
  }

  std::unique_ptr<Lvlm> model;
  Tunable tunable;
  TrainPass pass;
  AdamW optimizer;
  OneStream source;
  Collective& group;
  TrainerOptions run;
};

std::string next_run() {
  static int runs = 0;
  return "run " + std::to_string(++runs);
}

// The counts of `kSteps` steps of a run.
DeviceCounts counts_of_steps(const TuneOptions& options, ActivationCheckpointing checkpointing,
                             std::int64_t layers = 3) {
  const std::unique_ptr<Collective> alone = join_ranks({}, at::kCPU);
  Rig rig(options, checkpointing, layers, *alone, false);
  const std::string name = next_run();
  {
    const CountedSection section(name);
    rig.train();
  }
  return counts_of(name);
}

// Of all ranks of a group together.
DeviceCounts counts_of_ranks(int ranks, bool shared) {
  const std::string name = next_run();
  std::unique_ptr<CountedSection> section;
  std::barrier all(ranks);  // of threads: one of the group would be counted
  const auto errors = on_strict_ranks(ranks, [&](Collective& group) {
    Rig rig(region({0, 1, 2}), ActivationCheckpointing::kNone, 3, group, shared);
    all.arrive_and_wait();
    if (group.rank() == 0) section = std::make_unique<CountedSection>(name);
    all.arrive_and_wait();
    rig.train();
    all.arrive_and_wait();
    if (group.rank() == 0) section.reset();
    all.arrive_and_wait();
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
  return counts_of(name);
}

TuneOptions with_dropout(TuneOptions options, double dropout) {
  options.lora.dropout = dropout;
  return options;
}

std::string list(const std::map<std::string, std::int64_t>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) text += name + " " + std::to_string(count) + "\n";
  return text;
}

TEST(DeviceBudget, AStepWaitsOnceAndCopiesNothingElseBack) {
  STRIATE_REQUIRE_NO_GPU();
  for (const auto& options : {with_dropout(region({0, 2}), 0.1), region({0, 1, 2}), region({0, 2}, TuneKind::kFull)}) {
    for (const auto checkpointing :
         {ActivationCheckpointing::kNone, ActivationCheckpointing::kMlp, ActivationCheckpointing::kLayer}) {
      const DeviceCounts counts = counts_of_steps(options, checkpointing);
      EXPECT_EQ(counts.waits, kSteps) << list(counts.waited_for);
      EXPECT_EQ(counts.to_host.copies, kSteps) << "the numbers of a step";
      EXPECT_EQ(counts.to_host.pinned, kSteps);
      EXPECT_EQ(counts.to_device.pinned, counts.to_device.copies) << "what goes up is pinned";
      EXPECT_EQ(counts.to_device.waited, 0);
      EXPECT_EQ(counts.hazards, 0);
      EXPECT_GT(counts.launches, 0);
    }
  }
}

// And five more of a layer, whose linears are no joint products then.
TEST(DeviceBudget, AQuantisedLinearIsOneMoreLaunchInEachDirection) {
  STRIATE_REQUIRE_NO_GPU();
  constexpr std::int64_t kLinears = 7;  // of the one layer outside the region
  constexpr std::int64_t kApart = 5;
  const DeviceCounts plain = counts_of_steps(region({0, 2}), ActivationCheckpointing::kNone);
  for (const FrozenPrecision precision : {FrozenPrecision::kInt8, FrozenPrecision::kFp8, FrozenPrecision::kNf4}) {
    TuneOptions options = region({0, 2});
    options.frozen_precision = precision;
    const DeviceCounts counts = counts_of_steps(options, ActivationCheckpointing::kNone);
    SCOPED_TRACE(frozen_precision_name(precision));
    EXPECT_EQ(counts.waits, kSteps) << list(counts.waited_for);
    EXPECT_EQ(counts.to_host.copies, plain.to_host.copies);
    EXPECT_EQ(counts.to_device.copies, plain.to_device.copies);
    EXPECT_GE(counts.launches - plain.launches, kSteps * 2 * kLinears);
    EXPECT_LE(counts.launches - plain.launches, kSteps * (2 * kLinears + kApart));
  }
}

TEST(DeviceBudget, AStepOfSeveralRanksWaitsOnceOnEach) {
  STRIATE_REQUIRE_NO_GPU();
  for (const int ranks : {2, 3}) {
    for (const bool shared : {false, true}) {
      const DeviceCounts counts = counts_of_ranks(ranks, shared);
      EXPECT_EQ(counts.waits, kSteps * ranks) << list(counts.waited_for);
      EXPECT_EQ(counts.to_host.copies, kSteps * ranks) << "the numbers of a step";
      EXPECT_EQ(counts.to_device.pinned, counts.to_device.copies);
      EXPECT_EQ(counts.to_device.waited, 0);
      EXPECT_EQ(counts.hazards, 0);
    }
  }
}

TEST(DeviceBudget, WhatGoesUpDoesNotGrowWithDepth) {
  STRIATE_REQUIRE_NO_GPU();
  const auto copies = [](std::int64_t layers) {
    return counts_of_steps(region({0}, TuneKind::kLora, layers), ActivationCheckpointing::kNone, layers)
        .to_device.copies;
  };
  EXPECT_EQ(copies(3), copies(6));
}

TEST(DeviceBudget, SumsOfAStepHaveAnOrder) {
  STRIATE_REQUIRE_NO_GPU();
  const DeviceCounts counts = counts_of_steps(region({0, 1, 2}), ActivationCheckpointing::kLayer);
  EXPECT_GT(counts.operators.at("_flash_attention_backward"), 0);
  EXPECT_EQ(counts.atomics, 0) << list(counts.operators);
}

// Which layers of the two decoders below are trained.
enum class TrainedLayers {
  kLast,   // and no projector: the layers that one has more only run forward
  kFirst,  // they run forward and give the gradient of their input
  kAll
};

// Launches of a step on decoders of two depths; what is between them is one layer's.
std::int64_t launches_per_layer(TuneKind kind, TrainedLayers trained) {
  const auto launches = [&](std::int64_t layers) {
    std::vector<std::int64_t> chosen = {trained == TrainedLayers::kFirst ? 0 : layers - 1};
    if (trained == TrainedLayers::kAll) chosen = LayerSet::all(layers).numbers();
    TuneOptions options = with_dropout(region(chosen, kind, layers), 0.0);
    options.freeze_projector = trained == TrainedLayers::kLast;
    return counts_of_steps(options, ActivationCheckpointing::kNone, layers).launches;
  };
  return (launches(6) - launches(3)) / (3 * kSteps);
}

TEST(DeviceBudget, LaunchesOfALayer) {
  STRIATE_REQUIRE_NO_GPU();
  const std::int64_t forward = launches_per_layer(TuneKind::kLora, TrainedLayers::kLast);
  const std::int64_t frozen = launches_per_layer(TuneKind::kLora, TrainedLayers::kFirst);
  const std::int64_t adapted = launches_per_layer(TuneKind::kLora, TrainedLayers::kAll);
  const std::int64_t whole = launches_per_layer(TuneKind::kFull, TrainedLayers::kAll);
  EXPECT_LE(forward, 9);
  EXPECT_LE(frozen, 21) << "forward and input gradient";
  // Besides, both norms and the MLP's inner activations are computed again for what trains, and gate and up give their
  // gradients one by one.
  EXPECT_LE(adapted, frozen + 7 * 8 + 4) << "seven adapted linears";
  EXPECT_LE(whole, 47);
  RecordProperty("forward", static_cast<int>(forward));
  RecordProperty("whole", static_cast<int>(whole));
  RecordProperty("frozen", static_cast<int>(frozen));
  RecordProperty("adapted", static_cast<int>(adapted));
}

// The steps of docs/gpu.md: 4 layers, of which 2 are trained. What comes back is three losses, who asks to stop and
// why, and the optimiser's six numbers.
TEST(DeviceBudget, LaunchesOfTheStepsThatThePageShows) {
  STRIATE_REQUIRE_NO_GPU();
  const auto adapters = [](double dropout) { return with_dropout(region({1, 3}, TuneKind::kLora, 4), dropout); };
  const auto expect_at_most = [](std::int64_t launches, const TuneOptions& options, ActivationCheckpointing policy,
                                 const std::string& what) {
    const DeviceCounts counts = counts_of_steps(options, policy, 4);
    EXPECT_LE(counts.launches / kSteps, launches) << what << "\n" << list(counts.operators);
    EXPECT_EQ(counts.to_host.bytes, 11 * 8 * kSteps) << what << "\n" << list(counts.waited_for);
    RecordProperty(what, cat(counts.launches / kSteps, " launches, ", counts.to_device.copies / kSteps, " copies up, ",
                             counts.to_device.bytes / kSteps, " bytes, touched ", counts.touched_bytes / kSteps));
  };
  expect_at_most(307, adapters(0.05), ActivationCheckpointing::kNone, "adapters_with_dropout");
  expect_at_most(387, adapters(0.05), ActivationCheckpointing::kLayer, "recompute_layer");
  expect_at_most(264, adapters(0), ActivationCheckpointing::kNone, "adapters");
  expect_at_most(194, region({1, 3}, TuneKind::kFull, 4), ActivationCheckpointing::kNone, "whole_layers");
}

TEST(DeviceBudget, LaunchesOfTheForwardPassAndTheScoresThatThePageShows) {
  STRIATE_REQUIRE_NO_GPU();
  const auto model = tiny_model_on(pretend_placement(), {.layers = 4});
  const PackedBatch stream = pack(samples());
  const auto launches = [](const std::string& name, const std::function<void()>& run) {
    {
      const CountedSection section(name);
      run();
    }
    const DeviceCounts counts = counts_of(name);
    RecordProperty(name, cat(counts.launches, " launches, ", counts.waits, " waits, ", counts.to_host.copies, " back, ",
                             counts.to_host.bytes, " bytes, ", counts.to_device.copies, " up, ", counts.to_device.bytes,
                             " bytes"));
    return counts.launches;
  };
  EXPECT_LE(launches("forward", [&] { model->forward(stream); }), 50);
  LayerScoreCollector collector(model->config().decoder, {});
  EXPECT_LE(launches("scores", [&] { collector.add(*model, stream); }), 271);
}

// Whatever the number of parameters; what one operator launches is in tests/cuda/optimizer_kernels_test.cpp.
TEST(DeviceBudget, LaunchesOfTheOptimiser) {
  STRIATE_REQUIRE_NO_GPU();
  for (const std::int64_t layers : {1, 6}) {
    const auto model = tiny_model_on(pretend_placement(), {.layers = layers});
    Tunable tunable(*model, region(LayerSet::all(layers).numbers(), TuneKind::kFull, layers));
    AdamW optimizer(tunable.parameters(), {});
    const std::string name = "optimiser of " + std::to_string(layers);
    {
      const CountedSection section(name);
      optimizer.step_if_finite({}, 1.0);
    }
    EXPECT_LE(counts_of(name).launches, 4) << list(counts_of(name).operators);
    EXPECT_EQ(counts_of(name).waits, 0);
  }
}

TEST(DeviceBudget, SumsInAnyOrderAreThereForThoseWhoAskForThem) {
  STRIATE_REQUIRE_NO_GPU();
  const auto model = tiny_model_on(pretend_placement());
  Tunable tunable(*model, region({0, 1, 2}));
  const auto atomics = [&](bool deterministic) {
    const std::string name = std::string("sums, ") + (deterministic ? "ordered" : "in any order");
    const CountedSection section(name);
    TrainPass(tunable, ActivationCheckpointing::kNone, nullptr, deterministic).run(pack(samples()), 0.1, 0);
    return counts_of(name).atomics;
  };
  EXPECT_EQ(atomics(true), 0);
  EXPECT_GT(atomics(false), 0);
}

}  // namespace
}  // namespace striate::test
