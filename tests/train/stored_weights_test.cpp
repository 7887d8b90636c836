// Training starts from weights as they were published, whatever type and device a model computes in.
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "striate/files/weight_file.h"
#include "striate/region/param_change.h"
#include "striate/train/adapter_out.h"
#include "striate/train/training_run.h"
#include "tests/data/small_world.h"
#include "tests/support/errors.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/test_device.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;

// By the type of the files.
class StoredWeights : public testing::TestWithParam<at::ScalarType> {
 protected:
  StoredWeights() { make_checkpoint(model(), {.dtype = GetParam(), .vocab = 264}); }

  fs::path model() const { return world_.path("model"); }
  // As on a GPU: another device, and a copy of each weight that is rounded to bf16.
  std::unique_ptr<Lvlm> rounded_model() const {
    return load_model(open_small(model()), Placement{other_device(), Compute::kBFloat16});
  }
  void expect_same_weights(const fs::path& folder) const {
    const auto before = open_weight_directory(model());
    const auto after = open_weight_directory(folder);
    ASSERT_EQ(before->tensors().size(), after->tensors().size());
    for (const TensorInfo& info : before->tensors()) {
      const at::Tensor a = before->load(info.name);
      const at::Tensor b = after->load(info.name);
      EXPECT_EQ(a.scalar_type(), b.scalar_type()) << info.name;
      EXPECT_TRUE(at::equal(a, b)) << info.name;
    }
  }
  static void expect_no_change(const ParamChange& change) {
    EXPECT_EQ(change.joint, std::vector<double>(change.joint.size(), 0.0));
    EXPECT_EQ(change.sum, std::vector<double>(change.sum.size(), 0.0));
  }
  static TuneOptions everything() {
    TuneOptions tune;
    tune.stage = Stage::kPretrain;
    tune.tune_vision_tower = true;
    return tune;
  }

  // Two steps on whole layers of learning rate 0, which are to change nothing.
  TrainingRequest run_at_rate_zero(const std::string& layers, Compute compute) const {
    TrainingRequest r;
    r.model.model = model();
    r.placement = {test_device(), compute};
    r.tokenizer = world_.path("tokenizer");
    r.layers = layers;
    r.tune.kind = TuneKind::kFull;
    r.data = world_.options();
    r.steps = 2;
    r.rates = {0, 0, 0, 0};
    r.out = world_.path("run");
    return r;
  }

  SmallWorld world_{12};
};

TEST_P(StoredWeights, MastersOfARoundedModelAreWhatWasStored) {
  const auto model = rounded_model();
  const Checkpoint base = open_small(this->model());
  const Tunable tunable(*model, everything(), &base.weights);
  for (const auto& parameter : tunable.parameters().all()) {
    const at::Tensor stored = base.weights.load(parameter->name, parameter->value.sizes().vec());
    EXPECT_TRUE(at::equal(parameter->value.cpu(), stored.to(at::kFloat))) << parameter->name;
  }
}

TEST_P(StoredWeights, ARoundedModelThatWasNotTrainedIsWrittenBitForBit) {
  const auto model = rounded_model();
  const Checkpoint base = open_small(this->model());
  const Tunable tunable(*model, everything(), &base.weights);
  write_model(world_.path("written"), tunable, base);
  expect_same_weights(world_.path("written"));
}

TEST_P(StoredWeights, ARoundedModelHasNotChangedFromItself) {
  const Checkpoint base = open_small(model());
  const auto model = rounded_model();
  expect_no_change(param_change(*model, base, &base.weights));
  if (GetParam() == at::kBFloat16) return;  // of which nothing is rounded
  EXPECT_GT(param_change(*model, base).joint[0], 0) << "a model that is not rounded shows nothing";
}

TEST_P(StoredWeights, ARunInBf16AtRateZeroLeavesEveryBit) {
  const TrainingRequest r = run_at_rate_zero("0,2,4", Compute::kBFloat16);
  run_training(r, Ranks{}, {});
  expect_same_weights(r.out);
  const Checkpoint tuned = open_small(r.out);
  expect_no_change(param_change(*load_model(tuned, r.placement), open_small(model()), &tuned.weights));
}

TEST_P(StoredWeights, QuantisedLayersAreWrittenAndComparedAsTheyWereStored) {
  TrainingRequest r = run_at_rate_zero("1", Compute::kFloat32);
  r.tune.frozen_precision = FrozenPrecision::kNf4;
  run_training(r, Ranks{}, {});
  expect_same_weights(r.out);
  const Checkpoint base = open_small(model());
  Placement placement = r.placement;
  placement.quantized = {FrozenPrecision::kNf4, LayerSet::all(base.config.decoder.layers)};
  const auto quantized = load_model(base, placement);
  expect_no_change(param_change(*quantized, base, &base.weights));
  EXPECT_ERROR(param_change(*quantized, base), "the stored weight of a quantised matrix");
}

INSTANTIATE_TEST_SUITE_P(Of, StoredWeights, testing::Values(at::kFloat, at::kHalf, at::kBFloat16),
                         [](const testing::TestParamInfo<at::ScalarType>& info) {
                           return std::string(c10::toString(info.param));
                         });

}  // namespace
}  // namespace striate::test
