// How pictures reach a GPU, on the pretend device: no wait of the host, a stream of their own, the same features
// whatever is in the caches.
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "striate/base/strings.h"
#include "striate/data/picture_features.h"
#include "striate/data/planned_steps.h"
#include "striate/data/step_source.h"
#include "striate/model/picture_settings.h"
#include "striate/tensor/side_stream.h"
#include "striate/train/trainer.h"
#include "tests/data/small_world.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/test_device.h"
#include "tests/train/gradient_checks.h"

namespace striate::test {
namespace {

constexpr std::int64_t kFedSteps = 4;

class DeviceFeeding : public testing::Test {
 protected:
  void SetUp() override {
    STRIATE_REQUIRE_NO_GPU();
    model_ = model();
  }

  // The same weights every time.
  static std::unique_ptr<Lvlm> model() {
    return tiny_model_on({pretend_device(), Compute::kBFloat16}, {.vocab_size = 264});
  }

  StepSourceOptions options(std::int64_t memory, const std::string& folder = "") const {
    StepSourceOptions options = world_.options();
    options.feature_cache_bytes = memory;
    if (!folder.empty()) options.feature_cache_folder = world_.path(folder);
    return options;
  }

  std::unique_ptr<StepSource> open(const StepSourceOptions& options, std::int64_t device_cache) const {
    auto steps = std::make_unique<PlannedSteps>(model_->config(), world_.tokenizer(), options, DataPosition{});
    return open_step_source(*model_, std::move(steps), device_cache);
  }

  // The counts of the steps of a run.
  DeviceCounts train(const StepSourceOptions& options, const std::string& name) {
    const std::unique_ptr<Lvlm> trained = model();
    const auto source = open_step_source(*trained, world_.tokenizer(), options);
    const std::unique_ptr<Collective> alone = join_ranks({}, at::kCPU);
    Tunable tunable(*trained, region({0, 1, 2}));
    TrainPass pass(tunable, ActivationCheckpointing::kNone);
    AdamW optimizer(tunable.parameters(), {});
    TrainerOptions run;
    run.steps = kFedSteps;
    run.rates = {1e-3, 1e-3, 1e-3, 1e-3};
    run.schedule = {ScheduleKind::kConstant, kFedSteps, 0};
    {
      const CountedSection section(name);
      Trainer(tunable, pass, *source, optimizer, *alone, run, {}, {}).run();
    }
    return counts_of(name);
  }

  // The features of the first steps' streams.
  std::vector<at::Tensor> features(const StepSourceOptions& options, int steps, std::int64_t device_cache = 0) {
    const auto source = open(options, device_cache);
    std::vector<at::Tensor> all;
    for (int step = 0; step < steps; ++step) {
      for (const PackedBatch& stream : source->next().streams) {
        if (stream.image_features.defined()) all.push_back(stream.image_features.cpu());
      }
    }
    return all;
  }

  static void expect_no_wait_but_the_steps(const DeviceCounts& counts) {
    EXPECT_EQ(counts.waits, kFedSteps) << "the numbers of a step";
    EXPECT_EQ(counts.to_device.pinned, counts.to_device.copies);
    EXPECT_EQ(counts.to_device.waited, 0);
    EXPECT_EQ(counts.to_host.waited, 0);
    EXPECT_EQ(counts.to_host.pinned, counts.to_host.copies);
    EXPECT_EQ(counts.hazards, 0);
  }

  SmallWorld world_{60};
  std::unique_ptr<Lvlm> model_;
};

TEST_F(DeviceFeeding, PicturesThatAreInNoCacheCostNoWait) {
  const DeviceCounts counts = train(options(0), "feeding, no cache");
  expect_no_wait_but_the_steps(counts);
  EXPECT_EQ(counts.to_host.copies, kFedSteps) << "without a cache nothing comes back";
  EXPECT_GT(counts.side_launches, 0);
  EXPECT_GE(counts.stream_waits, kFedSteps) << "a step begins after its features";
}

TEST_F(DeviceFeeding, WhatComesBackForTheCachesCostsNoWait) {
  for (const std::string folder : {"", "cache"}) {
    const DeviceCounts counts = train(options(1 << 20, folder), "feeding, cache " + folder);
    expect_no_wait_but_the_steps(counts);
    EXPECT_GT(counts.to_host.copies, kFedSteps);
  }
  const DeviceCounts from_disk = train(options(0, "cache"), "feeding from disk");
  expect_no_wait_but_the_steps(from_disk);
  EXPECT_EQ(from_disk.to_host.copies, kFedSteps) << "everything was in the folder";
}

TEST_F(DeviceFeeding, TheTowersWorkIsOnTheSideAndTheStepsIsNot) {
  const DeviceCounts counts = train(options(0), "feeding, sides");
  train(options(0, "all"), "feeding, to disk");
  const DeviceCounts cached = train(options(0, "all"), "feeding, of cached pictures");
  EXPECT_EQ(counts.launches - counts.side_launches, cached.launches - cached.side_launches);
  EXPECT_LT(cached.side_launches, counts.side_launches);
}

TEST_F(DeviceFeeding, PixelsOfATrainedTowerGoUpWithoutAWait) {
  StepSourceOptions pixels = options(0);
  pixels.pixels = true;
  const auto source = open_step_source(*model_, world_.tokenizer(), pixels);
  std::vector<at::Tensor> sent;
  {
    const CountedSection section("pixels");
    for (int step = 0; step < kFedSteps; ++step) {
      for (const PackedBatch& stream : source->next().streams) {
        if (stream.pixels.defined()) sent.push_back(stream.pixels);
      }
    }
  }
  const DeviceCounts counts = counts_of("pixels");
  ASSERT_FALSE(sent.empty());
  for (const at::Tensor& one : sent) {
    EXPECT_EQ(one.device(), pretend_device());
    EXPECT_TRUE(at::isfinite(one).all().item<bool>());
  }
  EXPECT_EQ(counts.to_device.copies, static_cast<std::int64_t>(sent.size()));
  EXPECT_EQ(counts.to_device.pinned, counts.to_device.copies);
  EXPECT_EQ(counts.waits, 0);
  EXPECT_EQ(counts.hazards, 0);
}

TEST_F(DeviceFeeding, FeaturesHaveTheSameBitsWhateverCacheTheyComeFrom) {
  constexpr int kTwoEpochs = 30;
  const std::vector<at::Tensor> expected = features(options(0), kTwoEpochs);
  ASSERT_GT(expected.size(), 20U);
  features(options(0, "half"), 8);  // what was on its way at the end is kept as well
  for (const auto& asked : {options(0), options(1500), options(1 << 20), options(0, "half"), options(1500, "half")}) {
    for (const std::int64_t device_cache : {0, 1500, 1 << 20}) {
      const std::vector<at::Tensor> got = features(asked, kTwoEpochs, device_cache);
      ASSERT_EQ(got.size(), expected.size());
      for (std::size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(at::equal(got[i], expected[i])) << i;
    }
  }
}

TEST_F(DeviceFeeding, FeaturesOnTheDeviceAreNeitherComputedNorSentAgain) {
  const auto counts = [&](std::int64_t device_cache) {
    const std::string name = cat("two epochs, ", device_cache, " bytes on the device");
    const CountedSection section(name);
    features(options(0), 30, device_cache);
    return counts_of(name);
  };
  const DeviceCounts none = counts(0), all = counts(1 << 20);
  EXPECT_LT(all.side_launches, none.side_launches * 3 / 4);
  EXPECT_LT(all.to_device.copies, none.to_device.copies);
}

TEST_F(DeviceFeeding, FeaturesInMainMemoryGoUpFromWhereTheyLie) {
  constexpr int kEpoch = 15;
  const auto second_epoch = [&](std::int64_t memory, std::int64_t device_cache) {
    const std::string name = cat("second epoch, ", memory, ", ", device_cache);
    const auto source = open(options(memory), device_cache);
    for (int step = 0; step < kEpoch + 1; ++step) source->next();  // with the last of the first on its way back
    std::int64_t pictures = 0;
    {
      const CountedSection section(name);
      for (int step = 1; step < kEpoch; ++step) {
        for (const PackedBatch& stream : source->next().streams) {
          if (stream.image_features.defined()) pictures += stream.image_features.size(0) / 4;
        }
      }
    }
    return std::pair(counts_of(name), pictures);
  };
  const auto [from_memory, pictures] = second_epoch(1 << 20, 0);
  ASSERT_GT(pictures, 30);
  EXPECT_GT(from_memory.to_device.copies, pictures * 3 / 4) << "a picture that is shown twice in a step goes up once";
  EXPECT_EQ(from_memory.to_device.bytes, from_memory.to_device.copies * 4 * 16 * 2);
  EXPECT_EQ(from_memory.to_device.pinned, from_memory.to_device.copies);
  EXPECT_EQ(from_memory.to_device.waited, 0);
  EXPECT_EQ(from_memory.waits, 0);
  EXPECT_EQ(from_memory.hazards, 0);
  EXPECT_EQ(from_memory.pinned_allocations, 0) << "no second copy of them in main memory";
  EXPECT_EQ(second_epoch(1 << 20, 1 << 20).first.to_device.copies, 0) << "they were on the device";
}

TEST_F(DeviceFeeding, NoSlotIsFilledAnewWhileItsFeaturesAreOnTheirWayUp) {
  features(options(0, "all"), 15);
  for (const std::int64_t memory : {200, 1500, 3000}) {  // every picture makes room for the next
    const std::string name = cat("slots, ", memory);
    {
      const CountedSection section(name);
      const auto source = open(options(memory, "all"), 0);
      for (int step = 0; step < 30; ++step) source->next();  // nobody waits for the device
    }
    EXPECT_GT(counts_of(name).to_device.copies, 40);
    EXPECT_EQ(counts_of(name).to_device.pinned, counts_of(name).to_device.copies);
    EXPECT_EQ(counts_of(name).hazards, 0);
  }
}

TEST_F(DeviceFeeding, TheTowersBatchFollowsTheWholeCardAndIsPartOfItsIdentity) {
  const PreprocessConfig pixels = preprocess_config(model_->config(), {});
  const std::string whole = tower_identity(*model_, pixels);
  {
    const at::Tensor others = at::empty({64 << 20}, at::TensorOptions(at::kByte).device(pretend_device()));
    EXPECT_EQ(tower_identity(*model_, pixels), whole) << "whatever is free";
  }
  const DeviceMemoryLimit small_card(2 << 20);
  EXPECT_NE(tower_identity(*model_, pixels), whole) << "it looks at fewer pictures at once";
}

TEST_F(DeviceFeeding, SideStreamsDoNothingOnTheCpu) {
  const SideStream side(at::kCPU);
  const CountedSection section("side of the CPU");
  {
    const SideStream::Section beside(side);
    model_->vision_features(at::zeros({1, 3, 28, 28}));
  }
  side.hand_over({at::zeros({2}), at::Tensor()});
  EXPECT_EQ(counts_of("side of the CPU").side_launches, 0);
  EXPECT_EQ(counts_of("side of the CPU").stream_waits, 0);
}

}  // namespace
}  // namespace striate::test
