#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/sha256.h"
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
  EXPECT_LE(report["train_questions"], 20);
  EXPECT_GE(report["train_questions"], 17);  // an odd question of each yes-or-no family is left out
}

TEST_F(MiniCommand, RendersATestPartWithDigitsOnItsLabels) {
  const CommandResult result = render({"--train", "2", "--held-out", "0", "--test", "12", "--text", "20", "--grid", "3",
                                       "--labels", "1", "--digit-labels", "--families", "ocr"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("12 test pictures with "));
  EXPECT_EQ(json::parse(read_file(out_ / "world.json"))["digit_labels"], true);
  for (const json& sample : json::parse(read_file(out_ / "test.json"))) {
    const std::string label = sample["conversations"][1]["value"].get<std::string>();
    EXPECT_EQ(label.find_first_not_of("0123456789"), std::string::npos) << label;
  }
  EXPECT_TRUE(std::filesystem::exists(out_ / "text_test.json"));
}

TEST_F(MiniCommand, MistakesAreOneLineAndAHint) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--families", "colour"}, "did you mean color?"},
      {{"--text", "4", "--text-families", "color"}, "is a family of questions about scenes"},
      {{"--grid", "9"}, "a grid of 9"},
      {{"--train", "-1"}, "--train: -1 is not a whole number"},
      {{"--test", "-1"}, "--test: -1 is not a whole number"},
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

std::string output_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), STRIATE_PROGRAM);
  const CommandResult result = run_command(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

const std::string kRepository = STRIATE_SOURCE;

// What scripts/make-base.sh runs, with its configurations, for two steps each and a smaller shape.
TEST_F(MiniCommand, TheRecipeOfTheBaseGoesFromNothingToAReaderAndASeer) {
  ASSERT_EQ(render({"--train", "8", "--held-out", "0", "--text", "16", "--grid", "3", "--digit-labels"}).exit_code, 0);
  const std::string world = out_, root = folder_.path();
  for (const char* name : {"reader", "seer"}) {
    output_of({"init",
               "--arch",
               "bunny-llama3-8b",
               "--dtype",
               "fp32",
               "--layers",
               "3",
               "--hidden",
               "32",
               "--heads",
               "2",
               "--kv-heads",
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
               "--embedding-std",
               "0.3",
               "--residual-scale",
               "0.18",
               "--tokenizer",
               kRepository + "/mini/tokenizer",
               "--out",
               root + "/" + name});
  }
  const auto train = [&](const std::string& config, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"train", "--config", kRepository + "/mini/" + config, "--steps", "2",
                                         "--batch", "4", "--resume", "--json"});
    return json::parse(output_of(arguments));
  };
  train("decoder.toml", {"--model", root + "/reader", "--data", world + "/text.json", "--out", root + "/read"});
  const json seen = train("tower.toml", {"--model", root + "/seer", "--data", world + "/align.json", "--images", world,
                                         "--out", root + "/seen"});
  EXPECT_EQ(seen["steps"], 2);
  EXPECT_NE(read_file(root + "/seen/model.safetensors"), read_file(root + "/seer/model.safetensors"));

  const CommandResult joined =
      run_command({"python3", kRepository + "/scripts/join_base.py", root + "/read", root + "/seen", root + "/base"});
  ASSERT_EQ(joined.exit_code, 0) << joined.err;
  EXPECT_THAT(output_of({"inspect", "--model", root + "/base"}), HasSubstr("Bunny-Llama-3"));
  output_of({"chat", "--model", root + "/base", "--image", world + "/train/000000.png", "--prompt", "What is the text?",
             "--max-tokens", "2"});
}

TEST_F(MiniCommand, TextsAreJoinedAndChosen) {
  ASSERT_EQ(render({"--train", "0", "--held-out", "0", "--text", "60", "--questions", "3"}).exit_code, 0);
  const std::string texts = out_ / "text.json", joined = folder_.path() / "joined.json";
  const CommandResult result = run_command(
      {"python3", kRepository + "/scripts/base_texts.py", joined, texts + ":10", texts + "::How many,Where"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json samples = json::parse(read_file(joined)), all = json::parse(read_file(texts));
  ASSERT_GT(samples.size(), 10U);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(samples[i]["conversations"], all[i]["conversations"]);
  for (std::size_t i = 10; i < samples.size(); ++i) {
    const json& turns = samples[i]["conversations"];
    EXPECT_THAT(turns[0]["value"], StartsWith("Scene: "));
    for (std::size_t turn = 0; turn < turns.size(); turn += 2) {
      const std::string question = turns[turn]["value"];
      EXPECT_TRUE(question.find("How many") != std::string::npos || question.find("Where") != std::string::npos);
    }
  }
}

// What scripts/demo.sh runs, with its configurations, for two steps each.
TEST_F(MiniCommand, TheDemosRecipeGoesFromTheBaseToAnAnswer) {
  ASSERT_EQ(render({"--train", "8", "--held-out", "2", "--test", "4", "--text", "40", "--grid", "3", "--digit-labels"})
                .exit_code,
            0);
  const std::string world = out_, root = folder_.path(), base = kRepository + "/mini/base";
  const auto train = [&](const std::string& command, const std::string& config, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {command, "--config", kRepository + "/demo/" + config, "--data", world + "/train.json", "--images",
                      world, "--steps", "2", "--batch", "4", "--json"});
    return json::parse(output_of(arguments));
  };
  train("train", "align.toml", {"--model", base, "--out", root + "/aligned"});
  const json tuned =
      train("train", "tune.toml",
            {"--layers", "uniform:25%", "--model", base, "--projector", root + "/aligned", "--out", root + "/tuned"});
  EXPECT_EQ(tuned["layers"].size(), 4U);
  output_of({"prune", "--model", base, "--adapter", root + "/tuned", "--region", "from-run", "--layers", "15", "--out",
             root + "/pruned"});
  train("heal", "heal.toml",
        {"--model", root + "/pruned", "--teacher", base, "--teacher-adapter", root + "/tuned", "--out",
         root + "/healed"});
  const json answers =
      json::parse(output_of({"eval", "run", "--model", root + "/pruned", "--adapter", root + "/healed", "--benchmark",
                             "mini", "--data", world, "--out", root + "/answers", "--json"}));
  EXPECT_EQ(answers["benchmarks"][0]["scores"][0]["protocol"], "strict");
  output_of({"chat", "--model", base, "--adapter", root + "/tuned", "--image", world + "/test/000000.png", "--prompt",
             "What color is the circle?", "--max-tokens", "4"});
}

TEST_F(MiniCommand, TheBaseInTheRepositoryIsTheOneThatIsDescribedAndKnowsItsTexts) {
  const std::string base = kRepository + "/mini/base", sums = read_file(kRepository + "/mini/SHA256SUMS");
  EXPECT_THAT(sums, HasSubstr(sha256_of_file(base + "/model.safetensors") + "  base/model.safetensors"));
  ASSERT_EQ(render({"--train", "0", "--held-out", "0", "--test", "1", "--text", "4000", "--grid", "3", "--max-objects",
                    "4", "--digit-labels", "--questions", "1"})
                .exit_code,
            0);
  const json answers =
      json::parse(output_of({"eval", "run", "--model", base, "--benchmark", "mini-text", "--data", out_, "--precision",
                             "fp32", "--out", folder_.path() / "answers", "--json"}));
  EXPECT_GT(answers["benchmarks"][0]["scores"][0]["headline"]["value"], 85);
}

TEST_F(MiniCommand, HelpShowsAnExample) {
  const CommandResult result = run_command({STRIATE_PROGRAM, "mini", "render", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("Example:"));
}

}  // namespace
}  // namespace striate::test
