#include "striate/train/plan.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/architectures.h"
#include "striate/model/name_map.h"
#include "striate/model/tensor_list.h"
#include "striate/train/optimizer.h"
#include "striate/train/run_cost.h"
#include "striate/train/train_pass.h"
#include "striate/train/tunable.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/tiny_model.h"
#include "tests/support/weights.h"
#include "tests/train/planned_cases.h"

namespace striate {
namespace {

using test::expect_near_plan;
using test::kPlannedStream;
using test::planned_batch;
using test::planned_cases;
using test::planned_config;
using test::planned_model;
using test::planned_placement;
using test::planned_request;
using test::PlannedCase;
using testing::HasSubstr;

// An allocator for CPU tensors that counts the bytes they hold, and the most they held. A piece's size stands in front
// of it.
class CountingAllocator final : public c10::Allocator {
 public:
  // The process has one, and tensors outlive tests: it counts from the first use on.
  static CountingAllocator& installed() {
    static CountingAllocator* allocator = [] {
      auto* made = new CountingAllocator();
      c10::SetCPUAllocator(made, /*priority=*/1);
      return made;
    }();
    return *allocator;
  }

  c10::DataPtr allocate(std::size_t bytes) override {
    const std::size_t whole = (bytes + 2 * kFront - 1) / kFront * kFront;
    auto* base = static_cast<std::byte*>(std::aligned_alloc(kFront, whole));
    if (base == nullptr) throw std::bad_alloc();
    std::memcpy(base, &bytes, sizeof bytes);
    const std::int64_t now = now_ += static_cast<std::int64_t>(bytes);
    std::int64_t most = most_;
    while (now > most && !most_.compare_exchange_weak(most, now)) {
    }
    return {base + kFront, base + kFront, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

  std::int64_t now() const { return now_; }
  std::int64_t most() const { return most_; }
  void forget_most() { most_ = now_.load(); }

 private:
  static constexpr std::size_t kFront = 64;

  static void release(void* piece) {
    auto* base = static_cast<std::byte*>(piece) - kFront;
    std::size_t bytes = 0;
    std::memcpy(&bytes, base, sizeof bytes);
    installed().now_ -= static_cast<std::int64_t>(bytes);
    std::free(base);
  }

  std::atomic<std::int64_t> now_ = 0;
  std::atomic<std::int64_t> most_ = 0;
};

class PlanAgainstReality : public testing::TestWithParam<PlannedCase> {};

TEST_P(PlanAgainstReality, MemoryIsWithinATenth) {
  const PlannedCase& c = GetParam();
  CountingAllocator& tensors = CountingAllocator::installed();
  const TrainingCost cost = plan_cost(planned_request(c));
  const auto model = planned_model(planned_config(c.kind), c.stored, planned_placement(c, at::kCPU));
  const std::int64_t before = tensors.now();
  Tunable tunable(*model, c.tune);
  AdamW optimizer(tunable.parameters(), {});
  EXPECT_EQ(cost.parameters, tunable.parameters().count());
  EXPECT_EQ(cost.lowest_backward_layer, tunable.lowest_backward_layer());
  expect_near_plan(tensors.now() - before, cost.memory.parameters + cost.memory.gradients + cost.memory.moments,
                   "parameters and optimiser");
  const PackedBatch batch = planned_batch(model->config(), c.compute);
  ASSERT_EQ(batch.tokens(), kPlannedStream.tokens);
  ASSERT_EQ(batch.targets.size(0), kPlannedStream.targets);
  EXPECT_EQ(static_cast<std::int64_t>(batch.image_features.nbytes()), cost.memory.features);
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    TrainPass pass(tunable, checkpointing);
    pass.run(batch, 1.0, 0);  // what is made once and kept is not a step's
    const std::int64_t base = tensors.now();
    tensors.forget_most();
    pass.run(batch, 1.0, 1);
    expect_near_plan(tensors.most() - base, cost.memory.activations[static_cast<std::size_t>(checkpointing)],
                     checkpointing_name(checkpointing));
  }
}

INSTANTIATE_TEST_SUITE_P(Plan, PlanAgainstReality, testing::ValuesIn(planned_cases()),
                         [](const testing::TestParamInfo<PlannedCase>& info) { return info.param.name; });

TEST(QuantisedModel, IsLoadedOneMatrixAtATime) {
  const test::TemporaryFolder folder;
  test::make_checkpoint(folder.path() / "model", {.dtype = at::kBFloat16});
  const Checkpoint checkpoint = test::open_small(folder.path() / "model");
  CountingAllocator& tensors = CountingAllocator::installed();
  for (const FrozenPrecision precision : {FrozenPrecision::kInt8, FrozenPrecision::kFp8, FrozenPrecision::kNf4}) {
    SCOPED_TRACE(frozen_precision_name(precision));
    PlanRequest request;
    request.config = checkpoint.config;
    request.tune.layers = LayerSet(checkpoint.config.decoder.layers, {1});
    const std::int64_t plain = [&] {  // what is not mapped: norms and the like, in fp32
      const std::int64_t before = tensors.now();
      const auto model = load_model(checkpoint, {});
      return tensors.now() - before;
    }();
    request.tune.frozen_precision = precision;
    request.stream = kPlannedStream;
    const std::int64_t planned = plan_cost(request).memory.quantized;
    Placement placement;
    placement.quantized = quantized_layers(checkpoint.config.decoder, request.tune);
    const std::int64_t before = tensors.now();
    tensors.forget_most();
    const auto model = load_model(checkpoint, placement);
    EXPECT_EQ(tensors.now() - before, plain + planned);
    EXPECT_LE(tensors.most() - tensors.now(), 64) << "a copy of a matrix was made beside its codes";
  }
}

PlanRequest llava_7b(std::vector<std::int64_t> layers) {
  PlanRequest request;
  request.config = find_architecture("llava-1.5-7b").config;
  request.tune.layers = LayerSet(32, std::move(layers));
  request.compute = Compute::kBFloat16;
  request.on_gpu = true;
  request.stream = {.tokens = 8192, .image_rows = 8 * 576, .targets = 1024, .samples = 8};
  return request;
}

TEST(Plan, CountsLlavasOwnParameters) {
  const TrainingCost cost = plan_cost(llava_7b({0, 4, 8, 12, 18, 22, 26, 30}));
  // Rank 128 on the seven linears of a layer: 128 * (4 * 8192 + 3 * 15104) a layer; the projector 4096 * (1024 + 4096 +
  // 2).
  EXPECT_EQ(cost.adapter, 8 * 128 * (4 * 8192 + 3 * 15104));
  EXPECT_EQ(cost.projector, 4096 * (1024 + 4096 + 2));
  EXPECT_EQ(cost.decoder, 0);
  EXPECT_NEAR(static_cast<double>(cost.model), 7.06e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(cost.memory.weights), 2 * 7.06e9, 0.1e9);
  EXPECT_EQ(cost.memory.moments, cost.parameters * 8);
  // Two operations a weight: 6.48 billion in the layers, less the last layer's MLP and output where nothing is learned.
  EXPECT_NEAR(cost.operations.forward, 2 * 6.48e9, 1.0e9);
  EXPECT_NEAR(cost.operations.head, 2 * 2 * 32000.0 * 4096 * 1024 / 8192, 1);
}

TEST(Plan, AFrozenProjectorEndsTheWayBackAtTheLowestLayer) {
  PlanRequest request = llava_7b({28, 29, 30, 31});
  const TrainingCost through = plan_cost(request);
  request.tune.freeze_projector = true;
  const TrainingCost cut = plan_cost(request);
  EXPECT_EQ(through.lowest_backward_layer, 0);
  EXPECT_EQ(cut.lowest_backward_layer, 28);
  EXPECT_EQ(through.operations.recompute[0], 0);
  EXPECT_LT(cut.operations.input_gradient, 0.2 * through.operations.input_gradient);
  EXPECT_LT(cut.memory.activations[0], through.memory.activations[0] / 4);
}

TEST(Plan, InFp32TheLongestSampleDecidesWhatAttentionHoldsOnAGpu) {
  PlanRequest request = llava_7b({0, 8});
  request.compute = Compute::kFloat32;
  const auto activations = [&](std::int64_t samples, std::int64_t longest) {
    request.stream.samples = samples;
    request.stream.longest = longest;
    return plan_cost(request).memory.activations[2];
  };
  const std::int64_t equal = activations(8, 0);
  EXPECT_EQ(activations(8, 1024), equal);
  EXPECT_EQ(activations(8, 7), equal);  // no sample is the longest below the mean
  EXPECT_GT(activations(8, 2048), equal);
  EXPECT_GT(activations(8, request.stream.tokens), activations(8, 2048));
  EXPECT_EQ(activations(8, 1 << 30), activations(8, request.stream.tokens));
  request.compute = Compute::kBFloat16;  // flash attention
  EXPECT_EQ(activations(8, 2048), activations(8, 0));
  request.on_gpu = false;
  EXPECT_EQ(activations(8, 2048), activations(8, 0));
}

// A block of 65,536 numbers is what ranks share by: a share is within a row of blocks of an even one.
TEST(Plan, RanksShareTheOptimisersStateAndItsMasters) {
  PlanRequest request = llava_7b({0, 8, 16, 24});
  request.tune.kind = TuneKind::kFull;
  const TrainingCost alone = plan_cost(request);
  EXPECT_EQ(alone.traffic, 0);
  EXPECT_EQ(alone.memory.exchange, 0);
  request.ranks = 4;
  const TrainingCost whole = plan_cost(request);
  EXPECT_EQ(whole.memory.moments, alone.memory.moments);
  EXPECT_EQ(whole.traffic, whole.parameters * 3 / 4 * 8) << "gradients out, and their sums";
  EXPECT_GT(whole.memory.exchange, 0);
  request.shard_optimizer = true;
  const TrainingCost shared = plan_cost(request);
  const std::int64_t row = 4 * BlockShare::kBlock;
  EXPECT_NEAR(static_cast<double>(shared.memory.moments), static_cast<double>(alone.memory.moments) / 4,
              8.0 * static_cast<double>(row));
  EXPECT_EQ(shared.traffic, shared.parameters * 3 / 4 * 6) << "gradients out, and rounded values";
  const auto held = [](const MemoryPlan& m) { return m.parameters + m.gradients + m.moments; };
  // 2 + 4 bytes of each number for every rank, and a quarter of 18, against 18.
  EXPECT_NEAR(static_cast<double>(held(shared.memory)), static_cast<double>(held(alone.memory)) * 10.5 / 18,
              0.05 * static_cast<double>(held(alone.memory)));
}

TEST(Plan, RanksOnOneMachineShareItsMemoryAndTheMappedWeights) {
  MemoryPlan memory;
  memory.weights = 14;
  memory.quantized = 4;
  EXPECT_EQ(memory_of_rank(memory, 100, 1), 100);
  EXPECT_EQ(memory_of_rank(memory, 100, 3), 10 + (100 - 10) / 3);
}

TEST(Plan, ATeacherOnAGpuTakesItsTowerAndProjectorAsWell) {
  const ModelConfig config = planned_config(DecoderKind::kLlama);
  const auto stored = [](const std::string& /*name*/) { return at::kBFloat16; };
  const auto bytes_on = [&](at::Device device) {
    Placement placement;
    placement.device = device;
    placement.compute = Compute::kBFloat16;
    return teacher_matrix_bytes(config, placement, stored);
  };
  std::int64_t beside = 0;
  for (const TensorSpec& spec : expected_tensors(config)) {
    const bool loaded =
        spec.part == Part::kProjector || (spec.part == Part::kVisionTower && spec.layer < config.vision->layers_run());
    if (loaded && spec.shape.size() > 1) beside += 2 * spec.numel();
  }
  EXPECT_GT(beside, 0);
  EXPECT_EQ(bytes_on(at::Device(at::kCUDA, 0)), bytes_on(at::kCPU) + beside);
}

TEST(Plan, MoreRecomputingTakesLessMemoryAndMoreOperations) {
  const TrainingCost cost = plan_cost(llava_7b({0, 8, 16, 24}));
  EXPECT_GT(cost.memory.activations[0], cost.memory.activations[1]);
  EXPECT_GT(cost.memory.activations[1], cost.memory.activations[2]);
  EXPECT_LT(cost.operations.total(ActivationCheckpointing::kNone),
            cost.operations.total(ActivationCheckpointing::kMlp));
  EXPECT_LT(cost.operations.total(ActivationCheckpointing::kMlp),
            cost.operations.total(ActivationCheckpointing::kLayer));
  const MemoryPlan& memory = cost.memory;
  EXPECT_EQ(checkpointing_within(memory, memory.total(ActivationCheckpointing::kNone)), ActivationCheckpointing::kNone);
  EXPECT_EQ(checkpointing_within(memory, memory.total(ActivationCheckpointing::kNone) - 1),
            ActivationCheckpointing::kMlp);
  EXPECT_EQ(checkpointing_within(memory, memory.total(ActivationCheckpointing::kMlp) - 1),
            ActivationCheckpointing::kLayer);
  EXPECT_EQ(checkpointing_within(memory, memory.total(ActivationCheckpointing::kLayer) - 1), std::nullopt);
}

TEST(Plan, ARegionCostsLessThanEveryLayer) {
  const PlanRequest region = llava_7b({0, 4, 8, 12, 16, 20, 24, 28});
  const TrainingCost some = plan_cost(region);
  const TrainingCost all = plan_cost(with_all_layers(region));
  EXPECT_EQ(all.adapter, 4 * some.adapter);
  EXPECT_LT(some.operations.total(ActivationCheckpointing::kNone),
            all.operations.total(ActivationCheckpointing::kNone));
  EXPECT_LT(some.memory.total(ActivationCheckpointing::kNone), all.memory.total(ActivationCheckpointing::kNone));
}

TEST(Plan, AdviceMakesTheRunFit) {
  const PlanRequest request = with_all_layers(llava_7b({}));
  const std::int64_t least = plan_cost(request).memory.total(ActivationCheckpointing::kLayer);
  EXPECT_TRUE(advise(request, least).empty());
  const std::vector<Advice> advice = advise(request, least - 1'000'000'000);
  ASSERT_FALSE(advice.empty());
  EXPECT_TRUE(advice.front().fits);
  EXPECT_LE(advice.front().memory, least - 1'000'000'000);
  std::set<std::string> changes;
  for (const Advice& one : advice) changes.insert(one.change.substr(0, one.change.find(' ')));
  EXPECT_EQ(changes, (std::set<std::string>{"`layers`", "`lora_r`", "`tokens_per_stream`"}));
  for (const Advice& one : advise(request, 1'000'000'000)) EXPECT_FALSE(one.fits) << one.change;
}

TEST(Plan, KnowsMachinesByName) {
  ASSERT_EQ(find_hardware("a100-80").size(), 1U);
  EXPECT_EQ(find_hardware("a100-80").front().memory, std::int64_t{80} << 30);
  EXPECT_LT(usable_memory(find_hardware("a100-80").front()), std::int64_t{76} << 30);
  EXPECT_FALSE(find_hardware("this").front().gpu);
  try {
    find_hardware("a100-8");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("a100-80"));
  }
}

TEST(Plan, ANameWithoutItsMemoryMeansEveryVariant) {
  const auto names = [](const std::string& asked) {
    std::vector<std::string> found;
    for (const Hardware& hardware : find_hardware(asked)) found.push_back(hardware.name);
    return found;
  };
  EXPECT_EQ(names("a100"), (std::vector<std::string>{"a100-40", "a100-80"}));
  EXPECT_EQ(names("v100"), std::vector<std::string>{"v100-32"});
  EXPECT_EQ(names("h100"), std::vector<std::string>{"h100"});
  for (const char* name : {"4090", "RTX 4090", "rtx4090", "NVIDIA GeForce RTX 4090", "4090-24GB"}) {
    EXPECT_EQ(names(name), std::vector<std::string>{"rtx-4090"}) << name;
  }
  EXPECT_EQ(names("A100-80GB"), std::vector<std::string>{"a100-80"});
  EXPECT_EQ(names("h100-80"), std::vector<std::string>{"h100"});
  EXPECT_EQ(names("H200-141GB"), std::vector<std::string>{"h200"});
  EXPECT_ERROR(find_hardware("rtx"), "`hardware` rtx");
}

TEST(Plan, ARunIsAsLongAsTrainingCountsIt) {
  TrainingCost cost;
  cost.parameters = 1000;
  RunShape shape;
  shape.samples = 1000;
  shape.batch = 128;
  shape.sample_tokens = 200;
  shape.save_every = 5;
  shape.keep = 2;
  shape.result_bytes = 4000;
  const RunCost one = run_cost(shape, cost);
  EXPECT_EQ(one.steps, 8);  // 7.8 rounded up
  EXPECT_DOUBLE_EQ(one.tokens, 8 * 128 * 200);
  EXPECT_EQ(one.checkpoint, 12'000);
  EXPECT_EQ(one.checkpoints, 2);  // after steps 5 and 8
  EXPECT_EQ(one.disk(), 2 * 12'000 + 4000);
  shape.epochs = 3;
  EXPECT_EQ(run_cost(shape, cost).steps, 24);       // 23.4: only the last epoch's end is rounded up
  EXPECT_EQ(run_cost(shape, cost).checkpoints, 3);  // two are kept while the next is written
  shape.keep = 0;
  EXPECT_EQ(run_cost(shape, cost).checkpoints, 5);
  shape.steps = 7;
  EXPECT_EQ(run_cost(shape, cost).steps, 7);
  shape.steps.reset();
  shape.epochs = 1;
  shape.batch = 0;
  shape.tokens_per_step = 20'000;  // 100 samples
  EXPECT_EQ(run_cost(shape, cost).steps, 10);
  shape.counted_steps = 12;
  EXPECT_EQ(run_cost(shape, cost).steps, 12);
  EXPECT_DOUBLE_EQ(run_cost(shape, cost).tokens, 1000 * 200) << "steps that are not full have no more tokens together";
  shape.samples = 0;
  EXPECT_ERROR(run_cost(shape, cost), "the length of the run is unknown");
}

TEST(Plan, TheTowerLooksAgainAtPicturesThatNoCacheHolds) {
  RunShape shape;
  shape.samples = 100;
  shape.epochs = 3;
  shape.batch = 10;
  shape.sample_tokens = 50;
  shape.sample_images = 1;
  shape.image_bytes = 1000;
  shape.feature_cache_bytes = 99'999;
  EXPECT_DOUBLE_EQ(run_cost(shape, {}).tower_images, 300);
  shape.feature_cache_bytes = 100'000;
  EXPECT_DOUBLE_EQ(run_cost(shape, {}).tower_images, 100);
  EXPECT_EQ(run_cost(shape, {}).feature_bytes, 0);
  shape.feature_cache_bytes = 0;
  shape.features_on_disk = true;
  EXPECT_DOUBLE_EQ(run_cost(shape, {}).tower_images, 100);
  EXPECT_EQ(run_cost(shape, {}).feature_bytes, 100'000);
}

TEST(Plan, RefusesWhatTrainingWouldRefuse) {
  PlanRequest request = llava_7b({0});
  request.tune.layers = LayerSet(33, {32});
  EXPECT_ERROR(plan_cost(request), "the region is for a decoder of 33 layers");
  request = llava_7b({0});
  request.tune.lora.targets = {"qkv_proj"};
  EXPECT_ERROR(plan_cost(request), "is called qkv_proj");
  request = llava_7b({0});
  request.stream.targets = 9000;
  EXPECT_ERROR(plan_cost(request), "9000 targets");
  request = llava_7b({});
  request.tune.stage = Stage::kAlign;
  request.tune.freeze_projector = true;
  EXPECT_ERROR(plan_cost(request), "trains nothing");
}

TEST(Plan, WhatIsTrainedMustFitBeforeItIsAllocated) {
  ModelConfig config = find_architecture("llama-2-7b").config;
  TuneOptions tune;
  tune.layers = LayerSet(32, {0, 4});
  tune.lora.rank = 128;
  constexpr std::int64_t kGB = 1'000'000'000;
  EXPECT_NO_THROW(require_room_to_train(config, tune, Compute::kFloat32, 2 * kGB));
  EXPECT_NO_THROW(require_room_to_train(config, tune, Compute::kFloat32, 0)) << "the system does not say";
  tune.lora.rank = 60'000;
  try {
    require_room_to_train(config, tune, Compute::kFloat32, 2 * kGB);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr("`lora_r` 60000: 9.37 B trained parameters need 150 GB"));
    EXPECT_THAT(error.hint(), HasSubstr("smaller `lora_r`"));
    EXPECT_THAT(error.what(), HasSubstr("but only 2.00 GB are free"));
  }
}

TEST(Plan, RanksOfOneMachineAreToldTheirShareOfItsMemory) {
  ModelConfig config = find_architecture("llama-2-7b").config;
  TuneOptions tune;
  tune.layers = LayerSet(32, {0, 4});
  tune.lora.rank = 1024;  // 2.56 GB
  constexpr std::int64_t kGB = 1'000'000'000;
  EXPECT_NO_THROW(require_room_to_train(config, tune, Compute::kFloat32, 6 * kGB));
  EXPECT_NO_THROW(require_room_to_train(config, tune, Compute::kFloat32, 6 * kGB, 2));
  EXPECT_ERROR(require_room_to_train(config, tune, Compute::kFloat32, 6 * kGB, 3),
               "but each of the 3 ranks on this machine has only 2.00 GB of the 6.00 GB that are free");
}

}  // namespace
}  // namespace striate
