// Adapters from outside: on their own base, and nowhere else.
#include <gmock/gmock.h>

#include "tests/cli/train_world.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class AdapterUse : public TrainCommand {
 protected:
  static void SetUpTestSuite() {
    TrainCommand::SetUpTestSuite();
    const CommandResult tuned =
        run_command(without(command("tuned", {"--steps", "6", "--lr", "5e-2"}), {"--lora-alpha"}));
    ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  }
  static CommandResult striate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), STRIATE_PROGRAM);
    return run_command(arguments);
  }
  static CommandResult chat(const std::vector<std::string>& which) {
    std::vector<std::string> all = {"chat", "--json", "--precision", "fp32",       "--max-tokens",
                                    "8",    "--raw",  "--prompt",    "What is it?"};
    all.insert(all.end(), which.begin(), which.end());
    return striate(all);
  }
  static std::string answer(const std::vector<std::string>& which) {
    const CommandResult result = chat(which);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? json::parse(result.out)["ids"].dump() : "";
  }
};

TEST_F(AdapterUse, AlphaIsTwiceTheRankUnlessItIsGiven) {
  EXPECT_EQ(json::parse(read_file(file("tuned/adapter_config.json")))["lora_alpha"], 8);
  const json history = json::parse(read_file(file("tuned/striate.json")));
  EXPECT_EQ(history["settings"]["lora-alpha"], 8);
  EXPECT_EQ(history["base_weights"]["layers"], 4);
  EXPECT_FALSE(json::parse(read_file(file("tuned/run.json")))["arguments"].contains("lora-alpha"));
  expect_refusal(train("refused", {"--lora-alpha", "nan"}), "alpha");
}

TEST_F(AdapterUse, AModelThatWasPrunedSinceRefusesIt) {
  ASSERT_EQ(
      striate({"prune", "--model", model(), "--region", "none", "--layers", "2", "--out", file("pruned")}).exit_code,
      0);
  expect_refusal(chat({"--model", file("pruned"), "--adapter", file("tuned")}), "4 layers");
  ASSERT_EQ(striate({"prune", "--model", model(), "--adapter", file("tuned"), "--region", "none", "--layers", "2",
                     "--keep-adapter", "--out", file("kept")})
                .exit_code,
            0);
  EXPECT_NE(answer({"--model", file("kept"), "--adapter", file("kept/adapter")}), "");
  expect_refusal(chat({"--model", model(), "--adapter", file("kept/adapter")}), "3 layers");
}

TEST_F(AdapterUse, AnotherModelOfTheSameShapeRefusesItInEveryCommand) {
  const std::string other = file("other");
  ASSERT_EQ(
      run_command(
          {STRIATE_PROGRAM,   "init", "--arch",          "llava-1.5-7b",
           "--layers",        "4",    "--hidden",        "32",
           "--heads",         "4",    "--kv-heads",      "2",
           "--mlp",           "48",   "--max-positions", "256",
           "--vision-layers", "2",    "--vision-hidden", "16",
           "--vision-heads",  "2",    "--vision-mlp",    "24",
           "--image-size",    "28",   "--tokenizer",     (fs::path(STRIATE_SOURCE) / "demo/tokenizer.model").string(),
           "--dtype",         "fp32", "--seed",          "4",
           "--out",           other})
          .exit_code,
      0);
  const std::vector<std::string> pair = {"--model", other, "--adapter", file("tuned")};
  const std::vector<std::vector<std::string>> commands = {
      {"chat", "--prompt", "x"},
      {"inspect"},
      {"export", "--out", file("x")},
      {"export", "--format", "peft", "--out", file("x")},
      {"export", "--format", "gguf", "--out", file("x")},
      {"prune", "--region", "none", "--layers", "2", "--out", file("x")},
      {"revert", "--layers", "1", "--out", file("x")},
      {"score", "--data", data(), "--images", file("images"), "--out", file("x.json")}};
  for (std::vector<std::string> arguments : commands) {
    arguments.insert(arguments.end(), pair.begin(), pair.end());
    const CommandResult result = striate(arguments);
    EXPECT_EQ(result.exit_code, 2) << arguments.front() << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("this adapter was tuned on"), HasSubstr("hint: open it with")))
        << arguments.front();
  }
  EXPECT_FALSE(fs::exists(file("x")) || fs::exists(file("x.json")));
  // Rounded to another type, the base is still the base.
  ASSERT_EQ(striate({"export", "--model", model(), "--dtype", "bf16", "--out", file("bf16")}).exit_code, 0);
  EXPECT_NE(answer({"--model", file("bf16"), "--adapter", file("tuned")}), "");
}

TEST_F(AdapterUse, ItsFolderGivenAsAModelNamesFlagAndBase) {
  for (const char* command : {"chat", "inspect"}) {
    const CommandResult result = striate({command, "--model", file("tuned")});
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(cat("--model ", model(), " --adapter ", file("tuned"))));
  }
}

TEST_F(AdapterUse, ANameOnTheHubIsAnsweredWithTheDownload) {
  for (const char* flag : {"--model", "--llm", "--adapter"}) {
    const CommandResult result = striate({"inspect", flag, "llava-hf/llava-1.5-7b-hf"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, AllOf(HasSubstr(cat(flag, " llava-hf/llava-1.5-7b-hf: no such file or folder")),
                                  HasSubstr("hf download llava-hf/llava-1.5-7b-hf --local-dir llava-1.5-7b-hf")));
  }
  for (const char* path : {"nowhere", "no/such/folder", "./org/name", "/org/name", "org/na me"}) {
    const CommandResult result = striate({"inspect", "--model", path});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, testing::Not(HasSubstr("download"))) << path;
  }
}

TEST_F(AdapterUse, PissaMeansTheSameInChatMergedExportedAndAsGguf) {
  fs::copy(file("tuned"), file("pissa"), fs::copy_options::recursive);
  json config = json::parse(read_file(file("pissa/adapter_config.json")));
  config["init_lora_weights"] = "pissa";
  write_file(file("pissa/adapter_config.json"), config.dump());
  const std::vector<std::string> pair = {"--model", model(), "--adapter", file("pissa")};
  const std::string live = answer(pair);
  EXPECT_NE(live, answer({"--model", model(), "--adapter", file("tuned")}));
  for (const char* format : {"hf", "peft", "gguf"}) {
    const std::string out = file(cat("pissa-", format));
    std::vector<std::string> arguments = {"export", "--format", format, "--out", out, "--json"};
    if (format == std::string("gguf")) arguments.insert(arguments.end(), {"--gguf-type", "f32"});
    arguments.insert(arguments.end(), pair.begin(), pair.end());
    const CommandResult result = striate(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_LE(json::parse(result.out)["check"]["relative"], 1e-5) << format;
  }
  EXPECT_EQ(answer({"--model", file("pissa-hf")}), live);
  EXPECT_EQ(answer({"--model", model(), "--adapter", file("pissa-peft")}), live);
}

}  // namespace
}  // namespace striate::test
