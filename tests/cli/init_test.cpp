#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class InitCommand : public testing::Test {
 protected:
  CommandResult init(std::vector<std::string> arguments, const std::string& out = "m") {
    arguments.insert(arguments.begin(), {STRIATE_PROGRAM, "init"});
    arguments.insert(arguments.end(), {"--out", (folder_.path() / out).string()});
    return run_command(arguments);
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  TemporaryFolder folder_;
};

const std::vector<std::string> kSmall = {"--arch",  "llama-2-7b", "--layers", "2",  "--hidden", "32",
                                         "--heads", "2",          "--mlp",    "48", "--vocab",  "64"};

std::vector<std::string> with(std::vector<std::string> arguments, const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST_F(InitCommand, SaysWhatItMadeAndThatATokenizerIsLacking) {
  const CommandResult result = init(kSmall);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("random parameters"));
  EXPECT_THAT(result.out, HasSubstr("--tokenizer PATH"));
  EXPECT_TRUE(std::filesystem::exists(path("m/model.safetensors")));
  const auto origin = nlohmann::json::parse(read_file(path("m/striate.json")));
  EXPECT_EQ(origin["weights"], "random");
}

TEST_F(InitCommand, JsonIsOneObject) {
  const CommandResult result = init(with(kSmall, {"--json", "--seed", "9223372036854775807", "--dtype", "fp32"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["vocab_size"], 64);
  EXPECT_EQ(json["seed"], 9223372036854775807U);
  EXPECT_EQ(json["bytes"], json["parameters"].get<std::uint64_t>() * 4);
  EXPECT_EQ(json["tokenizer"], nullptr);
}

TEST_F(InitCommand, TheSeedDecidesTheBytes) {
  init(with(kSmall, {"--seed", "1"}), "a");
  init(with(kSmall, {"--seed", "1"}), "b");
  init(with(kSmall, {"--seed", "2"}), "c");
  const std::string a = read_file(path("a/model.safetensors"));
  EXPECT_TRUE(a == read_file(path("b/model.safetensors")));
  EXPECT_FALSE(a == read_file(path("c/model.safetensors")));
}

TEST_F(InitCommand, AModelInShardsHasAnIndex) {
  ASSERT_EQ(init(with(kSmall, {"--max-shard-size", "8kB"})).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(path("m/model.safetensors.index.json")));
  EXPECT_FALSE(std::filesystem::exists(path("m/model.safetensors")));
}

TEST_F(InitCommand, MistakesAreOneLineAndAHint) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--arch", "lava-1.5-7b"}, "lava-1.5-7b"},
      {with(kSmall, {"--heads", "3"}), "3 heads"},
      {with(kSmall, {"--dtype", "int8"}), "--dtype int8"},
      {with(kSmall, {"--layout", "gguf"}), "--layout gguf"},
      {with(kSmall, {"--max-shard-size", "many"}), "--max-shard-size many"},
      {with(kSmall, {"--layers", "two"}), "two"},
      {with(kSmall, {"--tokenizer", "/nonexistent"}), "/nonexistent"},
      {{"--layers", "2"}, "--arch"},
      {{"--size", "huge"}, "--size huge"},
  };
  for (const auto& [arguments, words] : cases) {
    // A flag given twice is a mistake of its own: the later replaces the earlier here.
    std::vector<std::string> once;
    for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
      const auto same =
          std::find(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 2, arguments.end(), arguments[i]);
      if (same == arguments.end()) once.insert(once.end(), {arguments[i], arguments[i + 1]});
    }
    const CommandResult result = init(once);
    EXPECT_EQ(result.exit_code, 2) << words;
    EXPECT_THAT(result.err, StartsWith("error: ")) << words;
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_THAT(result.err, HasSubstr("\nhint: "));
    EXPECT_EQ(result.out, "");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(InitCommand, AFolderInUseIsLeftAlone) {
  ASSERT_EQ(init(kSmall).exit_code, 0);
  const CommandResult again = init(kSmall);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("not empty"));
}

TEST_F(InitCommand, ADiskTooSmallIsAFailureAndLeavesNothing) {
  const CommandResult result = init({"--arch", "llama-3-8b", "--layers", "512", "--hidden", "262144", "--heads", "64"});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("free"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(InitCommand, OneFlagMakesAWholeSmallModelThatChatsAndTrainsAtOnce) {
  for (const std::string size : {"tiny", "small"}) {
    const CommandResult made = init({"--size", size, "--json"}, size);
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto json = nlohmann::json::parse(made.out);
    EXPECT_EQ(json["family"], "LLaVA-1.5 (llava-hf naming)");
    EXPECT_NE(json["tokenizer"], nullptr);
    EXPECT_LT(json["parameters"], size == "tiny" ? 2'000'000 : 20'000'000);
  }
  const CommandResult answer = run_command({STRIATE_PROGRAM, "chat", "--model", path("tiny").string(), "--prompt",
                                            "What is this?", "--max-tokens", "3", "--json"});
  EXPECT_EQ(answer.exit_code, 0) << answer.err;
  write_file(path("data.json"), R"([{"conversations": [{"from": "human", "value": "What is it?"},
                                                       {"from": "gpt", "value": "A cup."}]}])");
  const CommandResult trained =
      run_command({STRIATE_PROGRAM, "train", "--model", path("tiny").string(), "--data", path("data.json").string(),
                   "--layers", "uniform:25%", "--steps", "1", "--batch", "1", "--out", path("run").string(), "--json"});
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
}

TEST_F(InitCommand, ASizeFitsEveryArchitectureAndGivesWayToFlags) {
  const std::vector<std::string> names = {"llava-1.5-13b", "bunny-llama3-8b", "bunny-phi3-mini",
                                          "llama-2-7b",    "llama-3-8b",      "phi-3-mini"};
  for (const std::string& arch : names) {
    const CommandResult result = init({"--arch", arch, "--size", "tiny"}, arch);
    EXPECT_EQ(result.exit_code, 0) << arch << result.err;
  }
  ASSERT_EQ(init({"--size", "tiny", "--layers", "3", "--hidden", "128", "--image-size", "28"}, "m").exit_code, 0);
  const auto config = nlohmann::json::parse(read_file(path("m/config.json")));
  EXPECT_EQ(config["text_config"]["num_hidden_layers"], 3);
  EXPECT_EQ(config["text_config"]["hidden_size"], 128);
  EXPECT_EQ(config["vision_config"]["image_size"], 28);
}

TEST_F(InitCommand, HelpShowsAnExampleAndEveryArchitecture) {
  const CommandResult result = run_command({STRIATE_PROGRAM, "init", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("bunny-phi3-mini"));
  EXPECT_THAT(result.out, HasSubstr("Example:"));
}

}  // namespace
}  // namespace striate::test
