// Whole runs of every mode on the tests' device give the losses of the CPU: training, held-out evaluation and answers,
// checkpoints, resuming, what is written. `ctest -L device` runs these; on the CPU they would compare it with itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/train/plan.h"
#include "striate/train/training_run.h"
#include "tests/data/small_world.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/test_device.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;

struct Mode {
  const char* name;
  std::function<void(TrainingRequest&)> set;
};

const std::vector<Mode>& modes() {
  static const std::vector<Mode> all = {
      {"Lora", [](TrainingRequest& r) { r.tune.lora.dropout = 0.1; }},
      {"LoraMlp", [](TrainingRequest& r) { r.checkpointing = ActivationCheckpointing::kMlp; }},
      {"LoraLayer", [](TrainingRequest& r) { r.checkpointing = ActivationCheckpointing::kLayer; }},
      {"FrozenInt8", [](TrainingRequest& r) { r.tune.frozen_precision = FrozenPrecision::kInt8; }},
      {"FrozenFp8", [](TrainingRequest& r) { r.tune.frozen_precision = FrozenPrecision::kFp8; }},
      {"FrozenNf4", [](TrainingRequest& r) { r.tune.frozen_precision = FrozenPrecision::kNf4; }},
      {"FrozenProjector", [](TrainingRequest& r) { r.tune.freeze_projector = true; }},
      {"Full", [](TrainingRequest& r) { r.tune.kind = TuneKind::kFull; }},
      {"Tower", [](TrainingRequest& r) { r.tune.tune_vision_tower = true; }},
      {"Align",
       [](TrainingRequest& r) {
         r.tune.stage = Stage::kAlign;
         r.conversation = TemplateKind::kVicunaV1;  // not every sample has a picture
         r.layers.clear();
       }},
      {"Pretrain",
       [](TrainingRequest& r) {
         r.tune.stage = Stage::kPretrain;
         r.layers.clear();
       }},
      {"Teacher",
       [](TrainingRequest& r) {
         r.teacher.emplace();
         r.teacher->model.model = r.model.model;
         r.teacher->hidden_weight = 0.5;
         r.teacher->kl_weight = 0.5;
       }},
  };
  return all;
}

class DeviceRuns : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    if (tests_run_on_cpu()) GTEST_SKIP() << "ctest -L device runs this on another device";
    make_checkpoint(world_.path("model"), {.vocab = 264});
  }

  TrainingRequest request(const Placement& placement, const std::string& out) const {
    TrainingRequest r;
    r.model.model = world_.path("model");
    r.placement = placement;
    r.tokenizer = world_.path("tokenizer");
    r.layers = "1,3";
    r.tune.lora.rank = 2;
    r.data = world_.options();
    r.held_out.data = world_.data();
    r.held_out.images = world_.images();
    r.held_out.samples = 4;
    r.held_out.every = 2;
    r.held_out.max_tokens = 3;
    r.steps = 4;
    r.rates = {1e-3, 1e-3, 1e-3, 1e-3};
    r.save_every = 2;
    r.checkpointing = ActivationCheckpointing::kNone;
    r.out = world_.path(out);
    modes()[GetParam()].set(r);
    return r;
  }
  std::vector<nlohmann::json> metrics(const std::string& out) const {
    std::vector<nlohmann::json> lines;
    for (const std::string& line : split(read_file(world_.path(out) / "metrics.jsonl"), '\n')) {
      if (!line.empty()) lines.push_back(nlohmann::json::parse(line));
    }
    return lines;
  }
  void expect_same_losses(double tolerance) const {
    const auto want = metrics("cpu");
    const auto got = metrics("device");
    ASSERT_EQ(got.size(), want.size());
    int compared = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      for (const char* key : {"loss", "eval_loss", "grad_norm"}) {
        ASSERT_EQ(got[i].contains(key), want[i].contains(key)) << key;
        if (!want[i].contains(key)) continue;
        const double value = want[i][key].get<double>();
        EXPECT_NEAR(got[i][key].get<double>(), value, tolerance * value) << key;
        ++compared;
      }
    }
    EXPECT_GE(compared, 6);
  }

  SmallWorld world_{12};
};

TEST_P(DeviceRuns, GiveTheLossesOfTheCpuAndResumeBitForBit) {
  run_training(request({at::kCPU, Compute::kFloat32}, "cpu"), Ranks{}, {});
  run_training(request(exact_placement(), "device"), Ranks{}, {});
  // The last bit of an input decides which e4m3 it is rounded to.
  expect_same_losses(std::string(modes()[GetParam()].name) == "FrozenFp8" ? 1e-3 : 1e-4);
  // As if it had been stopped after its first checkpoint.
  const auto whole = metrics("device");
  fs::remove_all(world_.path("device/checkpoints/step-000004"));
  TrainingRequest again = request(exact_placement(), "device");
  again.resume = true;
  EXPECT_EQ(run_training(again, Ranks{}, {}).plan.first_step, 2);
  const auto resumed = metrics("device");
  ASSERT_EQ(resumed.size(), whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char* key : {"loss", "eval_loss"}) {
      if (!whole[i].contains(key)) continue;
      EXPECT_EQ(resumed[i].at(key), whole[i].at(key)) << i;
    }
  }
}

TEST_P(DeviceRuns, InBf16StayNearTheCpu) {
  run_training(request({at::kCPU, Compute::kFloat32}, "cpu"), Ranks{}, {});
  run_training(request({test_device(), Compute::kBFloat16}, "device"), Ranks{}, {});
  const auto want = metrics("cpu");
  const auto got = metrics("device");
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (!want[i].contains("loss")) continue;
    const double value = want[i]["loss"].get<double>();
    EXPECT_NEAR(got[i]["loss"].get<double>(), value, 0.02 * value);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, DeviceRuns, testing::Range<std::size_t>(0, modes().size()),
                         [](const auto& info) { return std::string(modes()[info.param].name); });

}  // namespace
}  // namespace striate::test
