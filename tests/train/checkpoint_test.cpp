#include "striate/train/checkpoint.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/train/random_tensor.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

ParameterSet some_parameters(std::uint64_t seed, std::int64_t width = 4) {
  std::vector<std::shared_ptr<Parameter>> all;
  for (const char* name : {"model.layers.0.a", "projector.0.weight"}) {
    auto parameter = std::make_shared<Parameter>();
    parameter->name = name;
    parameter->value = random_tensor({3, width}, seed++);
    all.push_back(parameter);
  }
  return ParameterSet(all, Compute::kFloat32);
}

RunState state_at(std::int64_t step) {
  RunState state;
  state.step = step;
  state.updates = step - 1;
  state.skipped_steps = 1;
  state.samples = 8 * step;
  state.tokens = 1000 * step;
  state.targets = 100 * step;
  state.data = {2, 300, 5, 1, 777, 3};
  state.settings = {{"lora-r", 16}, {"layers", "0,4"}};
  return state;
}

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() : parameters_(some_parameters(1)), optimizer_(parameters_, {}) {
    const at::Tensor gradients = parameters_.gradients();
    gradients.copy_(random_tensor({parameters_.count()}, 7));
    optimizer_.step({0.1, 0.1, 0.1, 0.1});
  }
  fs::path save(std::int64_t step, std::int64_t keep = 0) {
    return save_checkpoint(folder(), state_at(step), optimizer_.values(), optimizer_.moments(), keep);
  }
  fs::path folder() const { return home_.path() / "checkpoints"; }

  test::TemporaryFolder home_;
  ParameterSet parameters_;
  AdamW optimizer_;
};

TEST_F(CheckpointTest, ComesBackBitForBit) {
  save(12);
  const auto found = newest_whole_checkpoint(folder());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path.filename(), "step-000012");
  EXPECT_EQ(to_json(found->state), to_json(state_at(12)));
  ParameterSet other = some_parameters(50);
  AdamW optimizer(other, {});
  restore_checkpoint(*found, other, optimizer);
  EXPECT_TRUE(at::equal(other.values(), parameters_.values()));
  EXPECT_EQ(optimizer.updates(), 11);
  const NamedTensors saved = optimizer_.moments();
  const NamedTensors restored = optimizer.moments();
  for (std::size_t i = 0; i < saved.size(); ++i) EXPECT_TRUE(at::equal(saved[i].second, restored[i].second));
}

TEST_F(CheckpointTest, KeepsTheNewest) {
  for (const std::int64_t step : {5, 10, 15, 1000000}) save(step, 2);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder()), {}), 2);
  EXPECT_TRUE(fs::exists(folder() / "step-000015"));
  EXPECT_EQ(newest_whole_checkpoint(folder())->state.step, 1000000);
}

TEST_F(CheckpointTest, DamagedOnesArePassedOver) {
  save(5);
  const fs::path newest = save(10);
  std::string bytes = read_file(newest / "optimizer.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(newest / "optimizer.safetensors", bytes);
  std::string warning;
  const Notes notes{.info = {}, .warning = [&warning](const std::string& text) { warning = text; }};
  EXPECT_EQ(newest_whole_checkpoint(folder(), notes)->state.step, 5);
  EXPECT_THAT(warning, HasSubstr("optimizer.safetensors is not what was written"));
}

// A run that went on from below a damaged one keeps what it writes.
TEST_F(CheckpointTest, TheOneJustWrittenIsKeptWhateverLiesAboveIt) {
  save(500, 2);
  const fs::path damaged = save(1000, 2);
  fs::remove(damaged / "state.json");
  save(600, 1);
  EXPECT_EQ(newest_whole_checkpoint(folder())->state.step, 600);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder()), {}), 1);
}

TEST_F(CheckpointTest, WithoutAFileOrManifestItIsNotWhole) {
  for (const char* name : {"parameters.safetensors", "state.json", "manifest.json"}) {
    const fs::path path = save(10);
    EXPECT_TRUE(newest_whole_checkpoint(folder()));
    fs::remove(path / name);
    EXPECT_FALSE(newest_whole_checkpoint(folder())) << name;
  }
}

TEST_F(CheckpointTest, WhatIsCutShortIsNotWhole) {
  const fs::path path = save(10);
  fs::resize_file(path / "parameters.safetensors", fs::file_size(path / "parameters.safetensors") - 4);
  EXPECT_FALSE(newest_whole_checkpoint(folder()));
}

TEST_F(CheckpointTest, ADamagedOneIsReplacedWhenItsStepComesAgain) {
  fs::remove(save(10) / "state.json");
  save(10);
  EXPECT_EQ(newest_whole_checkpoint(folder())->state.step, 10);
}

TEST_F(CheckpointTest, HalfBuiltOnesAreIgnoredAndCleanedAway) {
  const fs::path half = folder() / ".step-000020.striate-tmp-123-abcdef";
  fs::create_directories(half);
  write_file(half / "parameters.safetensors", "half");
  EXPECT_FALSE(newest_whole_checkpoint(folder()));
  save(10);
  EXPECT_FALSE(fs::exists(half));
}

TEST_F(CheckpointTest, OtherFoldersAreNoCheckpoints) {
  fs::create_directories(folder() / "step-12");
  fs::create_directories(folder() / "notes");
  write_file(folder() / "step-000030", "a file");
  EXPECT_FALSE(newest_whole_checkpoint(folder()));
  EXPECT_FALSE(newest_whole_checkpoint(home_.path() / "absent"));
}

TEST_F(CheckpointTest, OfOtherShapesIsRefused) {
  save(3);
  ParameterSet other = some_parameters(1, 5);
  AdamW optimizer(other, {});
  EXPECT_ERROR(restore_checkpoint(*newest_whole_checkpoint(folder()), other, optimizer),
               "is missing or has another shape");
}

TEST(RunSettings, ADifferenceIsNamedWithBothValues) {
  const nlohmann::json saved = {{"lora-r", 16}, {"seed", 1}};
  EXPECT_NO_THROW(check_same_settings(saved, saved, "step-000003"));
  try {
    check_same_settings(saved, {{"lora-r", 32}, {"seed", 1}}, "step-000003");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "`lora_r`: 32 now, 16 in step-000003");
    EXPECT_EQ(error.exit_code(), 2);
  }
  EXPECT_ERROR(check_same_settings(saved, {{"lora-r", 16}}, "x"), "`seed`");
  EXPECT_ERROR(check_same_settings(saved, {{"lora-r", 16}, {"seed", 1}, {"new", 1}}, "x"), "`new`");
}

TEST(RunSettings, WhatEarlyRunsDidNotRecordIsNotCompared) {
  const nlohmann::json early = {{"seed", 1}, {"warmup-steps", 2}};
  nlohmann::json now = early;
  now["tokenizer"] = "a";
  now["teacher-adapter"] = "b";
  now["warmup-ratio"] = 0.1;
  EXPECT_NO_THROW(check_same_settings(early, now, "x"));
  nlohmann::json other = now;
  other["tokenizer"] = "c";
  EXPECT_ERROR(check_same_settings(now, other, "x"), "`tokenizer`: \"c\" now, \"a\" in x");
  other = now;
  other.erase("teacher-adapter");
  EXPECT_ERROR(check_same_settings(now, other, "x"), "`teacher_adapter`: not set now");
}

TEST(RunSettings, EpochsAreComparedWhereBothRunsWereGivenThem) {
  const nlohmann::json begun = {{"tokenizer", "a"}, {"epochs", 2.0}, {"steps", 30}};
  nlohmann::json in_steps = {{"tokenizer", "a"}, {"steps", 30}};
  EXPECT_NO_THROW(check_same_settings(begun, in_steps, "x"));
  EXPECT_NO_THROW(check_same_settings(in_steps, begun, "x"));
  nlohmann::json longer = begun;
  longer["epochs"] = 3.0;
  EXPECT_ERROR(check_same_settings(begun, longer, "x"), "`epochs`: 3.0 now, 2.0 in x");
}

TEST(RunSettings, AWarmUpGivenInStepsIsComparedInSteps) {
  const nlohmann::json begun = {{"tokenizer", "a"}, {"warmup-ratio", 0.1}, {"warmup-steps", 2}};
  nlohmann::json in_steps = {{"tokenizer", "a"}, {"warmup-steps", 2}};
  EXPECT_NO_THROW(check_same_settings(begun, in_steps, "x"));
  in_steps["warmup-steps"] = 3;
  EXPECT_ERROR(check_same_settings(begun, in_steps, "x"), "`warmup_steps`: 3 now, 2 in x");
  nlohmann::json other_share = begun;
  other_share["warmup-ratio"] = 0.2;
  EXPECT_ERROR(check_same_settings(begun, other_share, "x"), "`warmup_ratio`: 0.2 now, 0.1 in x");
  // A share that stands where steps were given may be the default, of which the user knows nothing.
  EXPECT_ERROR(check_same_settings({{"tokenizer", "a"}, {"warmup-steps", 2}}, begun, "x"),
               "`warmup_steps`: not set now, 2 in x");
}

TEST(RunState, DamagedTextIsRefused) {
  EXPECT_ERROR(parse_run_state(nlohmann::json::array(), "x"), "format");
  nlohmann::json json = to_json(state_at(3));
  json["data"].erase("epoch");
  EXPECT_ERROR(parse_run_state(json, "x"), "epoch");
  json = to_json(state_at(3));
  json["step"] = -1;
  EXPECT_ERROR(parse_run_state(json, "x"), "step");
  json = to_json(state_at(3));
  json["format"] = 2;
  EXPECT_ERROR(parse_run_state(json, "x"), "checkpoint format 2");
}

}  // namespace
}  // namespace striate
