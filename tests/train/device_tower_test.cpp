// What `striate plan` says of a run on a GPU with its vision tower, held to a run on the pretend device. There streams
// do not work at the same time; but CUDA's allocator keeps their memory apart, so that the most that each of them takes
// adds up.
#include <gtest/gtest.h>

#include "striate/base/strings.h"
#include "striate/data/planned_steps.h"
#include "striate/data/step_source.h"
#include "striate/tensor/device_memory.h"
#include "striate/train/trainer.h"
#include "tests/data/small_world.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/test_device.h"
#include "tests/train/gradient_checks.h"
#include "tests/train/planned_cases.h"

namespace striate::test {
namespace {

constexpr std::int64_t kPictures = 40;

class DeviceTower : public testing::TestWithParam<ActivationCheckpointing> {
 protected:
  void SetUp() override {
    STRIATE_REQUIRE_NO_GPU();
    nlohmann::json samples = nlohmann::json::array();
    for (std::int64_t i = 0; i < kPictures; ++i) {
      const std::string image = cat(i, ".bmp");
      world_.write_image(image, bmp_picture(56, 56, static_cast<std::uint32_t>(i)));
      samples.push_back(sample_json(cat("s", i), image, "What is it?", std::string(20, 'b')));
    }
    world_.write_data(samples);
  }

  // A tower that takes as much as a pass.
  static ModelConfig config() {
    ModelConfig config = planned_config(DecoderKind::kLlama);
    config.vision->hidden_size = config.projector->in_size = 128;
    config.vision->mlp_size = 4096;
    return config;
  }

  // Every step takes all samples, in one stream. No cache has room for features, but all that is computed is sent back.
  StepSourceOptions options() const {
    StepSourceOptions options = world_.options();
    options.conversation = TemplateKind::kPlain;
    options.batch = kPictures;
    options.tokens_per_stream = 1 << 20;
    options.feature_cache_bytes = 1;
    return options;
  }

  static PlanRequest request(const PackedBatch& stream) {
    PlanRequest request;
    request.config = config();
    request.tune.layers = LayerSet(5, {0, 2, 4});
    request.tune.lora.rank = 8;
    request.compute = Compute::kBFloat16;
    request.on_gpu = true;
    request.gpu_memory = device_memory(pretend_device()).total;
    request.stream = {.tokens = stream.tokens(),
                      .image_rows = stream.image_features.size(0),
                      .targets = stream.targets.size(0),
                      .samples = kPictures};
    request.stored_type = [](const std::string&) { return at::kFloat; };
    return request;
  }

  // The counts of nothing: what is allocated now.
  static DeviceCounts allocated_now(const std::string& name) {
    { const CountedSection section(name); }
    return counts_of(name);
  }

  SmallWorld world_;
};

TEST_P(DeviceTower, MemoryOfARunIsWithinATenth) {
  const std::string name = "a run with its tower, " + checkpointing_name(GetParam());
  const DeviceCounts before = allocated_now(name + ", before");
  const auto model = planned_model(config(), at::kFloat, {pretend_device(), Compute::kBFloat16});
  auto steps = std::make_unique<PlannedSteps>(model->config(), world_.tokenizer(), options(), DataPosition{});
  const PlanRequest request = [&] {
    const auto source = open_step_source(*model, world_.tokenizer(), options());
    return this->request(source->next().streams.at(0));
  }();
  const MemoryPlan plan = plan_cost(request).memory;
  Tunable tunable(*model, request.tune);
  TrainPass pass(tunable, GetParam());
  AdamW optimizer(tunable.parameters(), {});
  TrainerOptions run;
  run.steps = 3;
  run.rates = {1e-3, 1e-3, 1e-3, 1e-3};
  run.schedule = {ScheduleKind::kConstant, run.steps, 0};
  const auto source = open_step_source(*model, std::move(steps));
  {
    const CountedSection section(name);
    Trainer(tunable, pass, *source, optimizer, *join_ranks({}, at::kCPU), run, {}, {}).run();
  }
  const DeviceCounts counts = counts_of(name);
  const std::int64_t beside = counts.side_peak_bytes - before.side_peak_bytes;
  expect_near_plan(beside, plan.features + plan.tower, "the tower's stream");
  expect_near_plan(counts.default_peak_bytes - before.default_peak_bytes + beside, plan.total(GetParam()), name);
  EXPECT_GT(8 * plan.tower, plan.total(GetParam())) << "without it the plan would be wrong by more than a tenth";
}

INSTANTIATE_TEST_SUITE_P(With, DeviceTower, testing::ValuesIn(kCheckpointings), [](const auto& info) {
  return std::string(info.param == ActivationCheckpointing::kNone  ? "Keep"
                     : info.param == ActivationCheckpointing::kMlp ? "RecomputeMlp"
                                                                   : "RecomputeLayer");
});

}  // namespace
}  // namespace striate::test
