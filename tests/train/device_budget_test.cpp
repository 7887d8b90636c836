// What a training step may cost on a GPU besides arithmetic, counted on the pretend device: waits, copies, launches.
#include <gtest/gtest.h>

#include <barrier>

#include "striate/base/strings.h"
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

// What is trained on one rank.
struct Rig {
  Rig(const TuneOptions& options, ActivationCheckpointing checkpointing, std::int64_t layers, Collective& group,
      bool shared)
      : model(tiny_model_on(pretend_placement(), {.layers = layers})),
        tunable(*model, options),
        pass(tunable, checkpointing),
        optimizer(tunable.parameters(), {}, shared ? &group : nullptr),
        source(group.size()),
        group(group) {
    scatter(tunable);
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

// Launches of a step on decoders of two depths; what is between them is one layer's.
std::int64_t launches_per_layer(TuneKind kind, bool trained) {
  const auto launches = [&](std::int64_t layers) {
    std::vector<std::int64_t> chosen = {0};
    if (trained) chosen = LayerSet::all(layers).numbers();
    const TuneOptions options = with_dropout(region(chosen, kind, layers), 0.0);
    return counts_of_steps(options, ActivationCheckpointing::kNone, layers).launches;
  };
  return (launches(6) - launches(3)) / (3 * kSteps);
}

TEST(DeviceBudget, LaunchesOfALayer) {
  STRIATE_REQUIRE_NO_GPU();
  const std::int64_t frozen = launches_per_layer(TuneKind::kLora, false);
  const std::int64_t adapted = launches_per_layer(TuneKind::kLora, true);
  EXPECT_LE(frozen, 34) << "forward and input gradient";
  // Besides, both norms and the MLP's inner activations are computed again for what trains.
  EXPECT_LE(adapted, frozen + 7 * 8 + 3) << "seven adapted linears";
  RecordProperty("frozen", static_cast<int>(frozen));
  RecordProperty("adapted", static_cast<int>(adapted));
}

}  // namespace
}  // namespace striate::test
