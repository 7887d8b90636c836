// striate export --format gguf from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class ExportGguf : public testing::Test {
 protected:
  void SetUp() override { make("m", {}); }
  CommandResult striate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), STRIATE_PROGRAM);
    return run_command(arguments);
  }
  void make(const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"init",
                                          "--arch",
                                          "llava-1.5-7b",
                                          "--layers",
                                          "2",
                                          "--hidden",
                                          "32",
                                          "--heads",
                                          "2",
                                          "--mlp",
                                          "48",
                                          "--dtype",
                                          "bf16",
                                          "--tokenizer",
                                          testdata("tokenizers/llama2_style").string(),
                                          "--vision-layers",
                                          "2",
                                          "--vision-hidden",
                                          "16",
                                          "--vision-heads",
                                          "2",
                                          "--vision-mlp",
                                          "24",
                                          "--image-size",
                                          "28",
                                          "--out",
                                          file(name)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    ASSERT_EQ(striate(arguments).exit_code, 0);
  }
  CommandResult export_gguf(const std::vector<std::string>& more, const std::string& out = "out") {
    std::vector<std::string> arguments = {"export", "--model", file("m"), "--format", "gguf", "--out", file(out)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return striate(arguments);
  }
  std::string file(const std::string& name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(ExportGguf, WritesBothFilesAndSaysHowNearTheyCame) {
  const CommandResult result = export_gguf({"--gguf-type", "q8_0"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("out-Q8_0.gguf: "), HasSubstr("mmproj-out-F16.gguf: "),
                                HasSubstr("tensors: "), HasSubstr("logits: largest difference ")));
  EXPECT_TRUE(fs::exists(file("out/out-Q8_0.gguf")));
  EXPECT_TRUE(fs::exists(file("out/mmproj-out-F16.gguf")));
}

TEST_F(ExportGguf, TheSourcesOwnTypeLosesNothing) {
  const CommandResult result = export_gguf({"--gguf-type", "bf16", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json out = json::parse(result.out);
  EXPECT_EQ(out["check"]["half_steps"], 0);
  EXPECT_LE(out["check"]["relative"], 1e-5);
  EXPECT_EQ(out["check"]["tensors"], out["text"]["tensors"].get<int>() + out["mmproj"]["tensors"].get<int>());
  EXPECT_EQ(fs::file_size(out["text"]["path"].get<std::string>()), out["text"]["bytes"]);
}

TEST_F(ExportGguf, TheLanguageModelAloneNeedsNoTowerThatLlamaCppKnows) {
  make("linear", {"--projector", "linear", "--layout", "original"});
  const std::vector<std::string> arguments = {"export", "--model", file("linear"), "--format",
                                              "gguf",   "--out",   file("x")};
  const CommandResult refused = striate(arguments);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("mlp2x_gelu"), HasSubstr("--no-mmproj")));
  EXPECT_FALSE(fs::exists(file("x")));
  std::vector<std::string> alone = arguments;
  alone.emplace_back("--no-mmproj");
  const CommandResult result = striate(alone);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(fs::exists(file("x/mmproj-x-F16.gguf")));
}

TEST_F(ExportGguf, MistakesAreToldAndNothingIsLeft) {
  const CommandResult type = export_gguf({"--gguf-type", "q4_k"});
  EXPECT_EQ(type.exit_code, 2);
  EXPECT_THAT(type.err, AllOf(HasSubstr("--gguf-type q4_k"), HasSubstr("q8_0")));
  EXPECT_EQ(export_gguf({"--mmproj-type", "f8"}).exit_code, 2);
  EXPECT_THAT(export_gguf({"--dtype", "bf16"}).err, HasSubstr("--gguf-type"));
  fs::remove(file("m/tokenizer.json"));
  fs::remove(file("m/tokenizer.model"));
  const CommandResult tokenizer = export_gguf({});
  EXPECT_EQ(tokenizer.exit_code, 2);
  EXPECT_THAT(tokenizer.err, HasSubstr("tokenizer"));
  EXPECT_FALSE(fs::exists(file("out")));
}

TEST_F(ExportGguf, AFullDiskIsAFailureAndLeavesNothing) {
  fs::create_directories(file("full_disk"));
  const std::string command = cat("trap '' XFSZ; ulimit -f 40; exec ", STRIATE_PROGRAM,
                                  " export --format gguf --model ", file("m"), " --out ", file("full_disk/x"));
  const CommandResult result = run_command({"/bin/sh", "-c", command});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("\nhint: "));
  EXPECT_TRUE(fs::is_empty(file("full_disk")));
}

}  // namespace
}  // namespace striate::test
