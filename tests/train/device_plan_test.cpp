// What `striate plan` says of a GPU's memory and traffic, held to what a step takes there: on the pretend device, or
// the one that tests run on.
#include <ATen/DeviceAccelerator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <gtest/gtest.h>

#include "striate/tensor/fp8_product.h"
#include "striate/train/optimizer.h"
#include "striate/train/speed_model.h"
#include "striate/train/train_pass.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/test_device.h"
#include "tests/train/planned_cases.h"

namespace striate::test {
namespace {

class DevicePlan : public testing::TestWithParam<PlannedCase> {
 protected:
  const at::Device device_ = other_device();

  c10::CachingAllocator::Stat allocated() const {
    return c10::getDeviceAllocator(device_.type())->getDeviceStats(device_.index()).allocated_bytes[0];
  }
  void forget_peak() const { c10::getDeviceAllocator(device_.type())->resetPeakStats(device_.index()); }
};

TEST_P(DevicePlan, MemoryOfAPassIsWithinATenth) {
  PlannedCase c = GetParam();
  c.compute = Compute::kBFloat16;
  PlanRequest request = planned_request(c);
  request.on_gpu = true;
  request.fp8_units = has_fp8_units(device_);
  const TrainingCost cost = plan_cost(request);
  const auto model = planned_model(request.config, c.stored, planned_placement(c, device_));
  Tunable tunable(*model, c.tune);
  PackedBatch batch = planned_batch(model->config(), c.compute);
  batch.image_features = batch.image_features.to(device_);  // as the tower leaves them
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    TrainPass pass(tunable, checkpointing);
    const std::int64_t before = allocated().current;
    forget_peak();
    pass.run(batch, 1.0, 1);
    expect_near_plan(allocated().peak - before, cost.memory.activations[static_cast<std::size_t>(checkpointing)],
                     checkpointing_name(checkpointing));
  }
}

// No weight of a quantised layer is on the device in another form than its codes.
TEST_P(DevicePlan, WeightsAreLoadedOneMatrixAtATime) {
  PlannedCase c = GetParam();
  c.compute = Compute::kBFloat16;
  PlanRequest request = planned_request(c);
  request.on_gpu = true;
  const std::int64_t before = allocated().current;
  forget_peak();
  const auto model = planned_model(request.config, c.stored, planned_placement(c, device_));
  const std::int64_t held = allocated().current - before;
  const std::int64_t largest = request.config.decoder.vocab_size * request.config.decoder.hidden_size * 4;
  EXPECT_LE(allocated().peak - before, held + largest);
  const TrainingCost cost = plan_cost(request);
  if (cost.memory.quantized > 0 && !c.tune.freeze_projector) {
    // The plan counts what is trained with the parameters.
    const auto trained = static_cast<double>(2 * (cost.projector + cost.decoder));
    EXPECT_NEAR(static_cast<double>(held) / (static_cast<double>(cost.memory.weights) + trained), 1.0, 0.1);
  }
}

TEST_P(DevicePlan, MemoryOfAWholeStepIsWithinATenthAndItsBytesAreNear) {
  STRIATE_REQUIRE_NO_GPU();
  PlannedCase c = GetParam();
  c.compute = Compute::kBFloat16;
  PlanRequest request = planned_request(c);
  request.on_gpu = true;
  request.fp8_units = has_fp8_units(device_);
  const TrainingCost cost = plan_cost(request);
  const std::int64_t before = allocated().current;
  const auto model = planned_model(request.config, c.stored, planned_placement(c, device_));
  Tunable tunable(*model, c.tune);
  AdamW optimizer(tunable.parameters(), {});
  PackedBatch batch = planned_batch(model->config(), c.compute);
  batch.image_features = batch.image_features.to(device_);
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    TrainPass pass(tunable, checkpointing);
    const std::string name = c.name + " " + checkpointing_name(checkpointing);
    forget_peak();
    {
      const CountedSection section(name);
      tunable.parameters().zero_gradients();
      pass.run(batch, 1.0, 1);
      optimizer.step_if_finite({}, 1.0);
    }
    // This step has its features from elsewhere.
    const std::int64_t pictures =
        cost.memory.tower + cost.memory.features - static_cast<std::int64_t>(batch.image_features.nbytes());
    expect_near_plan(allocated().peak - before, cost.memory.total(checkpointing) - pictures, name);
    const auto touched = static_cast<double>(counts_of(name).touched_bytes);
    const double planned = stream_work(request, checkpointing).bytes();
    EXPECT_LE(touched, 1.5 * planned) << name;
    EXPECT_LE(planned, 1.5 * touched) << name;
    RecordProperty(checkpointing_name(checkpointing), std::to_string(touched / planned));
  }
}

INSTANTIATE_TEST_SUITE_P(Of, DevicePlan, testing::ValuesIn(planned_cases()),
                         [](const testing::TestParamInfo<PlannedCase>& info) { return info.param.name; });

}  // namespace
}  // namespace striate::test
