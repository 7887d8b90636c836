// Runs that a device has no room for: they end in one line, and go on where there is room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/tensor/torch_errors.h"
#include "striate/train/training_run.h"
#include "tests/data/small_world.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/test_device.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class DeviceMemory : public testing::Test {
 protected:
  void SetUp() override {
    STRIATE_REQUIRE_NO_GPU();
    make_checkpoint(world_.path("model"), {.vocab = 264});
  }
  TrainingRequest request(const std::string& out) const {
    TrainingRequest r;
    r.model.model = world_.path("model");
    r.placement = {pretend_device(), Compute::kBFloat16};
    r.tokenizer = world_.path("tokenizer");
    r.layers = "1,3";
    r.tune.lora.rank = 2;
    r.data = world_.options();
    r.steps = 4;
    r.rates = {1e-3, 1e-3, 1e-3, 1e-3};
    r.save_every = 1;
    r.checkpointing = ActivationCheckpointing::kNone;
    r.out = world_.path(out);
    return r;
  }
  std::vector<nlohmann::json> losses(const std::string& out) const {
    std::vector<nlohmann::json> all;
    for (const std::string& line : split(read_file(world_.path(out) / "metrics.jsonl"), '\n')) {
      if (!line.empty()) all.push_back(nlohmann::json::parse(line).at("loss"));
    }
    return all;
  }
  // The error that the run ends in, in our words.
  static Error failure(const TrainingRequest& request, const TrainingObserver& observer = {}) {
    try {
      run_training(request, Ranks{}, observer);
    } catch (const std::exception& error) {
      return explain(error, "a hint");
    }
    return internal_error("it went well");
  }
  static void expect_out_of_memory(const Error& error) {
    EXPECT_EQ(error.exit_code(), 1);
    EXPECT_THAT(error.what(), StartsWith("out of memory on GPU 0: "));
    EXPECT_EQ(error.hint(), "a hint");
  }

  SmallWorld world_{12};
};

TEST_F(DeviceMemory, ARunThatRanOutOfItResumesBitForBit) {
  run_training(request("whole"), Ranks{}, {});
  std::optional<DeviceMemoryLimit> limit;
  TrainingObserver observer;
  observer.on_save = [&limit](const fs::path& saved) {
    if (saved.filename() == "step-000002") limit.emplace(4096);
  };
  expect_out_of_memory(failure(request("run"), observer));
  limit.reset();
  EXPECT_FALSE(fs::exists(world_.path("run/adapter_model.safetensors")));
  for (const auto& entry : fs::recursive_directory_iterator(world_.path("run"))) {
    EXPECT_EQ(entry.path().string().find(".striate-tmp-"), std::string::npos) << entry.path();
  }
  TrainingRequest again = request("run");
  again.resume = true;
  EXPECT_EQ(run_training(again, Ranks{}, {}).plan.first_step, 2);
  EXPECT_EQ(losses("run"), losses("whole"));
  EXPECT_EQ(read_file(world_.path("run/adapter_model.safetensors")),
            read_file(world_.path("whole/adapter_model.safetensors")));
}

TEST_F(DeviceMemory, AModelThatDoesNotFitIsRefusedBeforeItIsLoaded) {
  const DeviceMemoryLimit limit(16 << 10);
  const Error error = failure(request("run"));
  EXPECT_EQ(error.exit_code(), 2);
  EXPECT_THAT(error.what(), HasSubstr("are free"));
  EXPECT_FALSE(fs::exists(world_.path("run/metrics.jsonl")));
}

}  // namespace
}  // namespace striate::test
