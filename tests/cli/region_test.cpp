#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

CommandResult region(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {STRIATE_PROGRAM, "region"});
  return run_command(arguments);
}

// A score file of `layers` layers whose metric bi grows with the layer's number, but is highest in layers 2 and 3.
std::string score_file(int layers) {
  json mean = json::array();
  for (int i = 0; i < layers; ++i) mean.push_back(i == 2 || i == 3 ? 100 - i : i);
  return json{{"format", "striate-scores"}, {"version", 1}, {"model", "m"},
              {"layers", layers},           {"samples", 3}, {"metrics", {{"bi", {{"mean", mean}}}}}}
      .dump();
}

TEST(RegionCommand, ShowsASetAsStripesAndAsAList) {
  const CommandResult result = region({"--layers-total", "32", "--layers", "paper", "0,4,8-11"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("█···█···█···█·····█···█···█···█·    8  0,4,8,12,18,22,26,30\n"));
  EXPECT_THAT(result.out, HasSubstr("0,4,8-11  █···█···████····················    6  0,4,8-11\n"));
}

TEST(RegionCommand, WithoutASetShowsEveryRuleAndWhyOneDoesNotApply) {
  const CommandResult result = region({"--layers-total", "16"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("uniform:25%"));
  EXPECT_THAT(result.out, HasSubstr("  middle:25%      ······████······    4  6-9\n"));
  EXPECT_THAT(result.out, HasSubstr("bottom-top:25%"));
  EXPECT_THAT(result.out, HasSubstr("(the paper has lists for decoders of 32 and 40 layers, but this decoder has 16)"));
}

TEST(RegionCommand, JsonIsOneObject) {
  const CommandResult result =
      region({"--layers-total", "8", "--strategy", "uniform:2", "--strategy", "top:1", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out), (json{{"layers_total", 8},
                                           {"sets",
                                            {{{"spec", "uniform:2"}, {"layers", {0, 4}}, {"stripes", "█···█···"}},
                                             {{"spec", "top:1"}, {"layers", {7}}, {"stripes", "·······█"}}}}}));
}

TEST(RegionCommand, TheDepthCanComeFromAModelAndTheMetricsFromAScoreFile) {
  TemporaryFolder folder;
  const std::string model = folder.path() / "m", scores = folder.path() / "s.json";
  ASSERT_EQ(run_command({STRIATE_PROGRAM, "init", "--arch", "llama-2-7b", "--layers", "8", "--hidden", "32", "--heads",
                         "2", "--mlp", "48", "--vocab", "64", "--out", model})
                .exit_code,
            0);
  write_file(scores, score_file(8));
  const CommandResult result = region({"--model", model, "--scores", scores, "--share", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(":bi:2       ··██····    2  2,3\n"));
  EXPECT_THAT(result.out, HasSubstr(":bi:2  ··█····█    2  2,7\n"));
}

TEST(RegionCommand, MistakesAreOneLineAndAHint) {
  TemporaryFolder folder;
  const std::string scores = folder.path() / "s.json";
  write_file(scores, score_file(8));
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "from --layers-total or from --model"},
      {{"--layers-total", "8", "--model", "x"}, "give one of them"},
      {{"--layers-total", "-3"}, "--layers-total: -3"},
      {{"--layers-total", "8", "--layers", "unifrom:2"}, "did you mean uniform?"},
      {{"--layers-total", "8", "--layers", "paper"}, "32 and 40"},
      {{"--layers-total", "8", "--layers", "uniform:2", "8"}, "layer 8 is outside the decoder"},
      {{"--layers-total", "8", "--share", "9"}, "9 layers are more than the decoder's 8"},
      {{"--layers-total", "8", "--layers", "0,4", "--share", "2"}, "--share does not apply to --layers"},
      {{"--layers-total", "16", "--layers", "score:" + scores + ":bi:2"}, "of 8 layers, but this decoder has 16"},
      {{"--layers-total", "8", "--scores", "/nonexistent"}, "/nonexistent"},
      {{"--model", "/nonexistent"}, "/nonexistent"},
      {{"--layers-total", "8", "--layers"}, "--layers"},
  };
  for (const auto& [arguments, words] : cases) {
    const CommandResult result = region(arguments);
    EXPECT_EQ(result.exit_code, 2) << words;
    EXPECT_THAT(result.err, StartsWith("error: ")) << words;
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_THAT(result.err, HasSubstr("\nhint: "));
    EXPECT_EQ(result.out, "");
  }
}

TEST(RegionCommand, HelpShowsAnExample) {
  const CommandResult result = region({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("Example:"));
}

}  // namespace
}  // namespace striate::test
