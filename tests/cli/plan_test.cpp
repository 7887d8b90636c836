#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

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
                           "activations, recompute-layer", "saving against all: ", "does it fit?", "a100-80"}) {
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
  EXPECT_THAT(result.out, HasSubstr("no: "));
  EXPECT_THAT(result.err, HasSubstr("has 12.0 MB for this run"));
  EXPECT_THAT(result.err, HasSubstr("hint: --tokens-per-stream "));
}

TEST_F(PlanCommand, RefusesWhatMakesNoSense) {
  EXPECT_THAT(plan({"--hardware", "rtx-4091"}).err, HasSubstr("did you mean rtx-4090?"));
  EXPECT_THAT(plan({"--layers", "9"}).err, HasSubstr("error: "));
  EXPECT_THAT(plan({"--sample-tokens", "5"}).err, HasSubstr("a picture alone has 9"));
  EXPECT_THAT(plan({"--tokens-per-stream", "100"}).err, HasSubstr("a sample has 201"));
  EXPECT_THAT(plan({"--sample-targets", "192"}).err, HasSubstr("192 tokens of text"));
}

}  // namespace
}  // namespace striate::test
