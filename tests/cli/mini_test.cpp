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

class MiniCommand : public testing::Test {
 protected:
  CommandResult render(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {STRIATE_PROGRAM, "mini", "render", "--out", out_.string()});
    return run_command(arguments);
  }

  TemporaryFolder folder_;
  std::filesystem::path out_ = folder_.path() / "d";
};

TEST_F(MiniCommand, RendersAndSaysWhatTheCommonestAnswersAreWorth) {
  const CommandResult result =
      render({"--train", "20", "--held-out", "30", "--families", "color,exist", "--grid", "3", "--labels", "0"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("20 pictures with "));
  EXPECT_THAT(result.out, HasSubstr("  color"));
  EXPECT_THAT(result.out, HasSubstr("  all"));
  EXPECT_TRUE(std::filesystem::exists(out_ / "train/000019.png"));
  EXPECT_EQ(json::parse(read_file(out_ / "world.json"))["grid"], 3);
}

TEST_F(MiniCommand, JsonIsOneObject) {
  const CommandResult result = render({"--train", "5", "--held-out", "5", "--text", "10", "--seed", "9", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_EQ(report["train_pictures"], 5);
  EXPECT_EQ(report["text_samples"], 10);
  EXPECT_EQ(report["seed"], 9);
  EXPECT_EQ(report["train_questions"], 20);
}

TEST_F(MiniCommand, MistakesAreOneLineAndAHint) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--families", "colour"}, "did you mean color?"},
      {{"--text-families", "color"}, "is a family of questions about scenes"},
      {{"--grid", "9"}, "a grid of 9"},
      {{"--train", "-1"}, "--train: -1 is not a whole number"},
      {{"--labels", "2"}, "--labels: 2 is not a number from 0 to 1"},
      {{"--train", "many"}, "many"},
  };
  for (const auto& [arguments, words] : cases) {
    const CommandResult result = render(arguments);
    EXPECT_EQ(result.exit_code, 2) << words;
    EXPECT_THAT(result.err, StartsWith("error: ")) << words;
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_THAT(result.err, HasSubstr("\nhint: "));
    EXPECT_EQ(result.out, "");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

// What scripts/demo.sh runs, with its configurations, for two steps each.
TEST_F(MiniCommand, TheDemosRecipeGoesFromNothingToAnAnswer) {
  ASSERT_EQ(render({"--train", "8", "--held-out", "2", "--text", "8", "--grid", "3", "--max-objects", "2", "--labels",
                    "0", "--families", "color,shape,count,exist", "--text-families", "none"})
                .exit_code,
            0);
  const std::string demo = std::string(STRIATE_SOURCE) + "/demo/", world = out_, root = folder_.path();
  const auto striate = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), STRIATE_PROGRAM);
    const CommandResult result = run_command(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  striate({"init",
           "--arch",
           "llava-1.5-7b",
           "--dtype",
           "fp32",
           "--layers",
           "8",
           "--hidden",
           "32",
           "--heads",
           "2",
           "--mlp",
           "64",
           "--max-positions",
           "512",
           "--vision-layers",
           "2",
           "--vision-hidden",
           "32",
           "--vision-heads",
           "2",
           "--vision-mlp",
           "32",
           "--image-size",
           "48",
           "--patch-size",
           "16",
           "--tokenizer",
           demo + "mini_tokenizer.model",
           "--out",
           root + "/random"});
  const auto train = [&](const std::string& config, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"train", "--config", demo + config, "--steps", "2", "--batch", "4", "--json"});
    return json::parse(striate(arguments));
  };
  train("pretrain.toml", {"--model", root + "/random", "--data", world + "/text.json", "--out", root + "/base"});
  const json aligned =
      train("align.toml", {"--model", root + "/base", "--data", world + "/train.json", "--images", world, "--eval-data",
                           world + "/held_out.json", "--out", root + "/aligned"});
  const json tuned = train("tune.toml", {"--layers", "uniform:25%", "--model", root + "/base", "--projector",
                                         root + "/aligned", "--data", world + "/train.json", "--images", world,
                                         "--eval-data", world + "/held_out.json", "--out", root + "/tuned"});
  EXPECT_EQ(aligned["eval_questions"], 4);
  EXPECT_EQ(tuned["layers"], (json{0, 4}));
  const std::string metrics = read_file(root + "/tuned/metrics.jsonl");
  EXPECT_THAT(metrics, HasSubstr("\"eval_accuracy\":"));
  EXPECT_THAT(metrics, HasSubstr("\"loss\":"));
  striate({"chat", "--model", root + "/base", "--adapter", root + "/tuned", "--image", world + "/held_out/000000.png",
           "--prompt", "What color is the circle?", "--max-tokens", "4"});
}

TEST_F(MiniCommand, HelpShowsAnExample) {
  const CommandResult result = run_command({STRIATE_PROGRAM, "mini", "render", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("Example:"));
}

}  // namespace
}  // namespace striate::test
