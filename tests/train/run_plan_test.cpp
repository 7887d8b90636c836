// A plan as a request: what it needs, what it tells, what it refuses.
#include "striate/train/run_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/data/planned_steps.h"
#include "tests/data/small_world.h"
#include "tests/support/errors.h"
#include "tests/support/small_checkpoint.h"

namespace striate::test {
namespace {

class PlansOfRuns : public testing::Test {
 protected:
  PlansOfRuns() { make_checkpoint(world_.path("model"), {.vocab = 264}); }

  RunPlanRequest request() const {
    RunPlanRequest r;
    r.model.model = world_.path("model");
    r.layers = "1,3";
    r.tune.lora.rank = 4;
    r.data.batch = 4;
    r.machines = find_hardware("a100");
    return r;
  }
  static std::vector<AskedMachine> find_hardware(const std::string& name) {
    std::vector<AskedMachine> machines;
    for (const Hardware& machine : striate::find_hardware(name)) machines.push_back({name, machine});
    return machines;
  }

  SmallWorld world_{24};
};

TEST_F(PlansOfRuns, WithoutDataAndStepsTheyTellMemoryAlone) {
  const RunPlan plan = plan_run(request());
  EXPECT_FALSE(plan.run);
  EXPECT_GT(plan.region.memory.fixed(), 0);
  EXPECT_LT(plan.region.parameters, plan.all.parameters);
  ASSERT_EQ(plan.fits.size(), 2U) << "an A100 has 40 or 80 GB";
  EXPECT_TRUE(plan.fits[0].checkpointing);
  EXPECT_NO_THROW(require_fit(request(), plan));
}

TEST_F(PlansOfRuns, DataTellHowLongTheRunIs) {
  RunPlanRequest r = request();
  r.data.data = world_.data();
  r.tokenizer = world_.path("tokenizer");
  const RunPlan plan = plan_run(r);
  ASSERT_TRUE(plan.run);
  EXPECT_EQ(plan.run->steps, 6) << "24 samples, 4 a step";
  r.sample.text_only = true;
  EXPECT_ERROR(plan_run(r), "`data` excludes the flags that describe samples");
}

TEST_F(PlansOfRuns, StepsOfTokensAreThoseThatTrainingCounts) {
  StepSourceOptions options = world_.options();
  options.batch = 0;
  options.max_tokens = options.tokens_per_step = 300;  // too few for two samples
  PlannedSteps training(open_small(world_.path("model")).config, world_.tokenizer(), options, {});
  RunPlanRequest r = request();
  r.data = options;
  r.tune.seed = options.seed;
  r.tokenizer = world_.path("tokenizer");
  for (const double epochs : {0.5, 1.0, 2.0}) {
    r.epochs = epochs;
    r.count_steps = true;
    const RunPlan counted = plan_run(r);
    ASSERT_TRUE(counted.run);
    EXPECT_EQ(counted.run->steps, training.steps_of(epochs, nullptr));
    EXPECT_NEAR(counted.run->tokens, epochs * 24 * counted.sample.tokens, 1e-6);
    r.count_steps = false;
    EXPECT_LT(plan_run(r).run->steps, counted.run->steps) << "the estimate takes every step to be full";
  }
  r.count_steps = true;
  r.data.max_tokens = 400;
  EXPECT_ERROR(plan_run(r), "`tokens_per_step` 300: a sample may have 400 tokens");
}

TEST_F(PlansOfRuns, AMachineThatIsTooSmallIsRefusedAfterThePlan) {
  RunPlanRequest r = request();
  r.memory = 1000;
  const RunPlan plan = plan_run(r);
  EXPECT_FALSE(plan.fits[0].checkpointing);
  EXPECT_ERROR(require_fit(r, plan), "1.00 kB of usable memory");
}

TEST_F(PlansOfRuns, ARequestThatMakesNoRunIsRefused) {
  const auto refused = [&](const std::function<void(RunPlanRequest&)>& change, const std::string& what) {
    RunPlanRequest r = request();
    change(r);
    EXPECT_ERROR(plan_run(r), what);
  };
  refused([](RunPlanRequest& r) { r.data.batch = 0; }, "`batch` 0 is not between");
  refused([](RunPlanRequest& r) { r.model.adapter = "."; }, "`adapter` does not apply");
  refused([](RunPlanRequest& r) { r.epochs = 0; }, "`epochs` 0");
  refused([](RunPlanRequest& r) { r.sample.targets = 1000; }, "`sample_targets` 1000 is too large");
  refused([](RunPlanRequest& r) { r.data.tokens_per_stream = 4; }, "`tokens_per_stream` 4 is too small");
}

}  // namespace
}  // namespace striate::test
