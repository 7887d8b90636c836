// striate export and striate revert from outside.
#include <gmock/gmock.h>

#include "tests/cli/train_world.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class Export : public TrainCommand {
 protected:
  static void SetUpTestSuite() {
    TrainCommand::SetUpTestSuite();
    ASSERT_EQ(train("tuned", {"--steps", "12"}).exit_code, 0);
    ASSERT_EQ(train("full", {"--steps", "6", "--tune", "full"}).exit_code, 0);
  }
  static CommandResult striate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), STRIATE_PROGRAM);
    return run_command(arguments);
  }
  static std::string answer(const std::vector<std::string>& which) {
    std::vector<std::string> all = {"chat", "--json",  "--precision",         "fp32",     "--max-tokens",
                                    "8",    "--image", file("images/p0.bmp"), "--prompt", "What is it?"};
    all.insert(all.end(), which.begin(), which.end());
    const CommandResult result = striate(all);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? json::parse(result.out)["ids"].dump() : "";
  }
  static std::vector<std::string> left_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
    return names;
  }
};

TEST_F(Export, AMergedModelAnswersAsTheAdapterDid) {
  const CommandResult result =
      striate({"export", "--model", model(), "--adapter", file("tuned"), "--out", file("merged")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("wrote "), HasSubstr("logits: largest difference ")));
  EXPECT_EQ(answer({"--model", file("merged")}), answer({"--model", model(), "--adapter", file("tuned")}));
  const json history = json::parse(read_file(file("merged/striate.json")));
  EXPECT_EQ(history["made_by"], "striate export");
  EXPECT_EQ(history["adapter"]["layers"], json({1, 3}));
  EXPECT_EQ(history["adapter"]["history"]["region"]["layers"], json({1, 3}));
  EXPECT_EQ(history["base_history"]["made_by"], "striate init");
}

TEST_F(Export, JsonSaysWhatWasWrittenAndHowNearItCame) {
  const CommandResult result = striate({"export", "--model", model(), "--adapter", file("tuned"), "--out", file("half"),
                                        "--dtype", "bf16", "--max-shard-size", "50kB", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json out = json::parse(result.out);
  EXPECT_GT(out["weight_files"], 1);
  EXPECT_GT(out["check"]["relative"], 0);
  EXPECT_LE(out["check"]["relative"], out["check"]["tolerance"]);
  EXPECT_LE(out["change_kept"], 1.1);
}

TEST_F(Export, AnAdapterIsWrittenForPeft) {
  const CommandResult result = striate(
      {"export", "--model", model(), "--adapter", file("tuned"), "--format", "peft", "--out", file("peft"), "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_LE(json::parse(result.out)["check"]["relative"], 1e-6);
  EXPECT_EQ(read_file(file("peft/adapter_config.json")), read_file(file("tuned/adapter_config.json")));
}

TEST_F(Export, RevertTakesARunsFolderOrATunedModel) {
  const CommandResult adapter =
      striate({"revert", "--model", file("tuned"), "--base", model(), "--layers", "0,3", "--out", file("less")});
  ASSERT_EQ(adapter.exit_code, 0) << adapter.err;
  EXPECT_THAT(adapter.out, AllOf(HasSubstr("an adapter on layer 1\n"), HasSubstr("reverted layers 0,3")));
  const CommandResult whole =
      striate({"revert", "--model", file("full"), "--base", model(), "--layers", "3", "--out", file("back"), "--json"});
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_EQ(json::parse(whole.out)["reverted"], json::array({3}));
  EXPECT_EQ(json::parse(read_file(file("back/striate.json")))["reverted"]["list"], "3");
}

TEST_F(Export, RevertSaysBitForBitOnlyWhereTheTypesAreKept) {
  const auto revert = [](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> all = {"revert",   "--model", file("full"),  "--base", model(),
                                    "--layers", "3",       "--no-verify", "--out",  file(out)};
    all.insert(all.end(), more.begin(), more.end());
    const CommandResult result = striate(all);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  EXPECT_THAT(revert("kept-types", {}), HasSubstr("reverted layer 3 (the base's weights, bit for bit)\n"));
  EXPECT_THAT(revert("one-type", {"--dtype", "fp16"}),
              HasSubstr("reverted layer 3 (the base's weights, written as fp16)\n"));
}

TEST_F(Export, MistakesAreOneLineAndAHintAndLeaveNothing) {
  const std::string out = file("refused/x"), others = file("others.json");
  write_file(
      others,
      R"({"format": "striate-scores", "version": 1, "model": "other", "layers": 4, "samples": 1,)"
      R"( "decoder": {"hidden": 8, "mlp": 8, "heads": 1, "kv_heads": 1}, "metrics": {"bi": {"mean": [1, 2, 3, 4]}}})");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"export", "--model", model(), "--format", "onnx"}, "--format onnx"},
      {{"export", "--model", model(), "--format", "peft"}, "none was given"},
      {{"export", "--model", model(), "--dtype", "int4"}, "--dtype int4"},
      {{"export", "--model", model(), "--gguf-type", "q8_0"}, "--gguf-type does not apply to --format hf"},
      {{"export", "--model", model(), "--max-shard-size", "0"}, "--max-shard-size"},
      {{"export", "--model", file("nowhere")}, "nowhere"},
      {{"revert", "--model", file("full"), "--layers", "1"}, "needs the model as it was before tuning"},
      {{"revert", "--model", file("tuned"), "--layers", "1"}, "is an adapter"},
      {{"revert", "--model", file("tuned"), "--base", model(), "--layers", "3", "--max-shard-size", "1GB"},
       "--max-shard-size does not apply to an adapter"},
      {{"revert", "--model", model(), "--adapter", file("tuned"), "--base", model(), "--layers", "3"},
       "--base does not apply to --adapter"},
      {{"revert", "--model", file("full"), "--base", model(), "--layers", "9"}, "9"},
      {{"revert", "--model", file("full"), "--base", model(), "--layers", cat("score:", others, ":bi:1")},
       "others.json is for another model (other)"},
      {{"revert", "--model", file("full"), "--base", model(), "--layers", "0,2"}, "nothing to revert"},
      {{"revert", "--model", file("tuned"), "--base", model(), "--layers", "0,2"}, "nothing to revert"},
      {{"revert", "--model", file("tuned"), "--base", model(), "--layers", "all"}, "no layer of the adapter"},
  };
  for (const auto& [arguments, words] : cases) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--out", out});
    expect_refusal(striate(all), words);
  }
  EXPECT_FALSE(fs::exists(file("refused")) && !left_in(file("refused")).empty());
  expect_refusal(striate({"export", "--model", model(), "--out", model()}), "not empty");
}

TEST_F(Export, AFullDiskIsAFailureAndLeavesNothing) {
  fs::create_directories(file("full_disk"));
  const std::string command = cat("trap '' XFSZ; ulimit -f 40; exec ", STRIATE_PROGRAM, " export --model ", model(),
                                  " --out ", file("full_disk/x"));
  const CommandResult result = run_command({"/bin/sh", "-c", command});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("\nhint: "));
  EXPECT_TRUE(left_in(file("full_disk")).empty());
}

}  // namespace
}  // namespace striate::test
