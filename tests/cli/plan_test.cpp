#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class PlanCommand : public testing::Test {
 protected:
  void SetUp() override {
    const CommandResult made = run_command({STRIATE_PROGRAM,   "init",
                                            "--arch",          "llava-1.5-7b",
                                            "--layers",        "4",
                                            "--hidden",        "64",
                                            "--heads",         "4",
                                            "--mlp",           "96",
                                            "--vocab",         "320",
                                            "--vision-layers", "2",
                                            "--vision-hidden", "32",
                                            "--vision-heads",  "2",
                                            "--vision-mlp",    "48",
                                            "--image-size",    "42",
                                            "--out",           model_.string()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  CommandResult plan(std::vector<std::string> more) const {
    more.insert(more.begin(), {STRIATE_PROGRAM, "plan", "--model", model_.string()});
    return run_command(more);
  }

  TemporaryFolder folder_;
  std::filesystem::path model_ = folder_.path() / "model";
};

TEST_F(PlanCommand, ShowsMemoryAndOperationsNextToAll) {
  const CommandResult result = plan({"--layers", "uniform:2", "--lora-r", "8", "--device", "cpu"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* text : {"uniform:2: 2 of 4 layers (0,2)", "adapters of rank 8", "frozen weights", "weight gradient",
                           "activations, recompute-layer", "against tuning all layers, it saves ", "22% less time",
                           "machines: usable memory", "a100-80"}) {
    EXPECT_THAT(result.out, HasSubstr(text));
  }
}

TEST_F(PlanCommand, JsonGivesTheSameToPrograms) {
  const CommandResult result = plan({"--layers", "0,3", "--lora-r", "8", "--json", "--hardware", "a100-80,this"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_EQ(report["layers"], json({0, 3}));
  // Rank 8 on seven linears of two layers: 8 * (in + out) each.
  EXPECT_EQ(report["region"]["parameters"]["adapters"], 2 * 8 * (4 * 128 + 3 * 160));
  EXPECT_EQ(report["all"]["parameters"]["adapters"], 4 * 8 * (4 * 128 + 3 * 160));
  EXPECT_EQ(report["machines"][0]["machine"], "a100-80");
  EXPECT_EQ(report["machines"][0]["policy"], "keep");
  EXPECT_GT(report["region"]["memory_bytes"]["activations"]["keep"],
            report["region"]["memory_bytes"]["activations"]["recompute-layer"]);
}

TEST_F(PlanCommand, WhatDoesNotFitEndsWithTwoAndAWayOut) {
  const CommandResult result = plan({"--layers", "all", "--lora-r", "8", "--memory", "12MB", "--device", "cpu"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, HasSubstr("too small: the run needs"));
  EXPECT_THAT(result.err, HasSubstr("has 12.0 MB of usable memory"));
  EXPECT_THAT(result.err, HasSubstr("hint: --tokens-per-stream "));
}

TEST_F(PlanCommand, ATrainCommandLineIsAPlanToo) {
  write_file(folder_.path() / "tune.toml", "layers = \"0,3\"\nlora-r = 8\nbatch = 4\nsave-every = 10\n");
  const CommandResult result =
      plan({"--config", (folder_.path() / "tune.toml").string(), "--stage", "tune", "--steps", "25", "--lr", "1e-4",
            "--seed", "7", "--eval-every", "5", "--keep", "1", "--out", "nowhere", "--json", "--device", "cpu"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_EQ(report["layers"], json({0, 3}));
  EXPECT_EQ(report["stream"]["samples"], 4);
  EXPECT_EQ(report["run"]["steps"], 25);
  EXPECT_EQ(report["run"]["disk_bytes"]["checkpoints"], 2);
  EXPECT_FALSE(std::filesystem::exists("nowhere"));
}

TEST_F(PlanCommand, StepsThatAreTypedTakeThePlaceOfTheEpochsOfAFile) {
  const std::string file = (folder_.path() / "epochs.toml").string();
  write_file(file, "epochs = 1\nbatch = 4\n");
  const CommandResult result = plan({"--config", file, "--steps", "25", "--lora-r", "8", "--json", "--device", "cpu"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out)["run"]["steps"], 25);
  EXPECT_THAT(plan({"--steps", "25", "--epochs", "1"}).err, HasSubstr("--steps and --epochs exclude each other"));
}

TEST_F(PlanCommand, DataTellsStepsHoursAndDisk) {
  ASSERT_EQ(
      run_command({STRIATE_PROGRAM, "init", "--size", "tiny", "--out", (folder_.path() / "tiny").string()}).exit_code,
      0);
  json samples = json::array();
  for (int i = 0; i < 100; ++i) {
    samples.push_back({{"conversations",
                        {{{"from", "human"}, {"value", "What is number " + std::to_string(i) + "?"}},
                         {{"from", "gpt"}, {"value", "One of a hundred."}}}}});
  }
  write_file(folder_.path() / "data.json", samples.dump());
  const std::vector<std::string> command = {STRIATE_PROGRAM, "plan",
                                            "--model",       (folder_.path() / "tiny").string(),
                                            "--data",        (folder_.path() / "data.json").string(),
                                            "--batch",       "16",
                                            "--epochs",      "2"};
  const CommandResult text = run_command(command);
  ASSERT_EQ(text.exit_code, 0) << text.err;
  for (const char* words : {"100 samples; 100 read", "steps         13, ", "disk  ", "tokens/s, about ",
                            " less time than all layers", "Speed is predicted, not measured", "rates measured just"}) {
    EXPECT_THAT(text.out, HasSubstr(words));
  }
  std::vector<std::string> for_programs = command;
  for_programs.insert(for_programs.end(), {"--json", "--hardware", "this,a100"});
  const CommandResult result = run_command(for_programs);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_EQ(report["run"]["steps"], 13);
  EXPECT_EQ(report["run"]["data"]["samples"], 100);
  EXPECT_GT(report["run"]["disk_bytes"]["total"], 0);
  ASSERT_EQ(report["machines"].size(), 3U);
  EXPECT_EQ(report["machines"][1]["machine"], "a100-40");
  EXPECT_EQ(report["machines"][2]["machine"], "a100-80");
  for (const json& machine : report["machines"]) {
    const json& predicted = machine["predicted"];
    EXPECT_GT(predicted["seconds"], 0);
    EXPECT_GT(predicted["tokens_per_second"], 0);
    EXPECT_GT(predicted["saving"], 0);
    double sum = 0;
    for (const char* kind : {"products", "adapters", "attention", "memory", "launches"}) {
      sum += predicted["stream_seconds"][kind].get<double>();
    }
    EXPECT_NEAR(sum, predicted["stream_seconds"]["total"].get<double>(), 1e-9);
  }
  EXPECT_GT(report["measured_cpu_rates"]["memory"], 0);
  // By tokens the steps are counted: no two of these samples, which are of nearly one length, fit into a step.
  const std::string budget = std::to_string(report["run"]["data"]["longest"].get<std::int64_t>() * 3 / 2);
  std::vector<std::string> by_tokens = command;
  by_tokens.erase(std::find(by_tokens.begin(), by_tokens.end(), "--batch"),
                  std::find(by_tokens.begin(), by_tokens.end(), "--epochs"));
  by_tokens.insert(by_tokens.end(),
                   {"--max-tokens", budget, "--tokens-per-step", budget, "--json", "--hardware", "a100"});
  const CommandResult counted = run_command(by_tokens);
  ASSERT_EQ(counted.exit_code, 0) << counted.err;
  EXPECT_EQ(json::parse(counted.out)["run"]["steps"], 200) << "100 samples, 2 epochs";
}

TEST_F(PlanCommand, ConfigJsonAloneIsEnoughAndSoIsAMachineWithoutAGpu) {
  const json with_weights = json::parse(plan({"--json", "--device", "cuda"}).out);
  EXPECT_EQ(with_weights["gpu"], true);
  EXPECT_EQ(with_weights["compute"], "bf16");
  std::filesystem::remove(model_ / "model.safetensors");
  const CommandResult result = plan({"--json", "--device", "cuda"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out)["region"], with_weights["region"]);
  EXPECT_THAT(plan({}).out, HasSubstr("planned from config.json"));
}

TEST_F(PlanCommand, PredictsSpeedAndSavingForEveryMachineThatFits) {
  const CommandResult text = plan({"--hardware", "h100,h200,4090,t4", "--layers", "uniform:1"});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  for (const char* words : {"machines: usable memory, activations, peak memory; predicted: tokens/s, saving", "h100",
                            "h200", "rtx-4090", " tokens/s", " less time than all layers",
                            "Speed is predicted, not measured: a GPU's from its maker's figures; docs/plan.md"}) {
    EXPECT_THAT(text.out, HasSubstr(words));
  }
  const CommandResult result = plan({"--hardware", "h100,h200,4090,t4", "--layers", "uniform:1", "--json"});
  const json machines = json::parse(result.out)["machines"];
  ASSERT_EQ(machines.size(), 4U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GT(machines[i]["predicted"]["tokens_per_second"], 0);
    EXPECT_GT(machines[i]["predicted"]["saving"], 0);
    EXPECT_EQ(machines[i]["predicted"]["seconds"], nullptr) << "no data and no steps say how long the run is";
  }
  EXPECT_EQ(machines[3]["predicted"], nullptr) << "its maker states no bf16 rate";
}

TEST_F(PlanCommand, CountsMemoryByTheFrozenLayersPrecisionAndSaysWhatFitsWhichCard) {
  const auto memory = [&](const std::string& precision) {
    const CommandResult result = plan({"--device", "cuda", "--frozen-precision", precision, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const json planned = json::parse(result.out);
    EXPECT_EQ(planned["frozen_precision"], precision);
    EXPECT_EQ(planned["precisions"].size(), 4U);
    for (const json& fit : planned["precisions"]) {
      if (fit["precision"] != precision) continue;
      EXPECT_EQ(fit["weights"], planned["region"]["memory_bytes"]["weights"]);
      EXPECT_EQ(fit["least_bytes"], planned["region"]["memory_bytes"]["total"]["recompute-layer"]);
      EXPECT_EQ(fit["cards_gb"]["80"], "keep");
    }
    return planned["region"]["memory_bytes"];
  };
  const json plain = memory("bf16"), int8 = memory("int8"), fp8 = memory("fp8"), nf4 = memory("nf4");
  EXPECT_EQ(plain["quantized_weights"], 0);
  EXPECT_EQ(int8["quantized_weights"], fp8["quantized_weights"]);
  EXPECT_LT(nf4["weights"], int8["weights"]);
  EXPECT_LT(int8["weights"], plain["weights"]);

  const CommandResult text = plan({"--device", "cuda", "--frozen-precision", "nf4"});
  for (const char* words : {"of them in nf4", "frozen  memory", "8 GB", "80 GB", "\n  int8 "}) {
    EXPECT_THAT(text.out, HasSubstr(words));
  }
  EXPECT_THAT(plan({"--device", "cpu"}).out, Not(HasSubstr("frozen  memory")));
  const CommandResult refused = plan({"--layers", "all", "--frozen-precision", "nf4"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--frozen-precision nf4 does not apply: every layer is trained"));
  EXPECT_THAT(refused.err, HasSubstr("hint: leave it out, or give fewer --layers"));
}

TEST_F(PlanCommand, AnA100IsBothAndOneThatFitsIsEnough) {
  const CommandResult result = plan({"--hardware", "a100"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("a100-40"));
  EXPECT_THAT(result.out, HasSubstr("a100-80"));
}

TEST_F(PlanCommand, CountsWhatEachOfSeveralRanksHoldsAndSends) {
  const CommandResult told = plan(
      {"--tune", "full", "--layers", "all", "--ranks", "4", "--shard-optimizer", "--steps", "10", "--device", "cuda"});
  ASSERT_EQ(told.exit_code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("4, each with what follows; in a step each sends "));
  EXPECT_THAT(told.out, HasSubstr("gradients under way between ranks"));
  const auto report = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--tune", "full", "--layers", "all", "--device", "cuda", "--json"});
    return json::parse(plan(more).out)["region"];
  };
  const json one = report({}), four = report({"--ranks", "4", "--shard-optimizer"});
  EXPECT_EQ(one["traffic_per_step"], 0);
  EXPECT_GT(four["traffic_per_step"], 0);
  EXPECT_LT(four["memory_bytes"]["moments"], one["memory_bytes"]["moments"]);
  EXPECT_EQ(one["memory_bytes"]["exchange"], 0);
  EXPECT_GT(four["memory_bytes"]["exchange"], 0);
  const CommandResult refused = plan({"--shard-optimizer"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--shard-optimizer divides the optimiser's state among ranks, but the plan is for "
                                     "one\nhint: give the number of ranks: --ranks N"));
}

TEST_F(PlanCommand, RefusesWhatMakesNoSense) {
  EXPECT_THAT(plan({"--hardware", "rtx-4091"}).err, HasSubstr("did you mean rtx-4090?"));
  EXPECT_THAT(plan({"--layers", "9"}).err, HasSubstr("error: "));
  EXPECT_THAT(plan({"--sample-tokens", "5"}).err, HasSubstr("a picture alone has 9"));
  EXPECT_THAT(plan({"--tokens-per-stream", "100"}).err, HasSubstr("a sample has 201"));
  EXPECT_THAT(plan({"--sample-targets", "192"}).err, HasSubstr("192 text tokens"));
}

}  // namespace
}  // namespace striate::test
