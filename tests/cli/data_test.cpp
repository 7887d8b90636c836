#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

// `data check` with a small model that has the tokenizer of the reference data.
class DataCheckCommand : public testing::Test {
 protected:
  void SetUp() override {
    STRIATE_REQUIRE_TESTDATA();
    const CommandResult made = run_command({STRIATE_PROGRAM,   "init",
                                            "--arch",          "llava-1.5-7b",
                                            "--layers",        "1",
                                            "--hidden",        "32",
                                            "--heads",         "2",
                                            "--mlp",           "48",
                                            "--vision-layers", "2",
                                            "--vision-hidden", "32",
                                            "--vision-heads",  "2",
                                            "--vision-mlp",    "48",
                                            "--image-size",    "42",
                                            "--tokenizer",     (*testdata() / "tokenizers" / "llama2").string(),
                                            "--out",           model_.string()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  CommandResult check(const std::string& data, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {STRIATE_PROGRAM, "data", "check",    "--model",        model_.string(),
                                          "--data",        data,   "--images", images().string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_command(arguments);
  }
  fs::path images() const { return *testdata() / "train_data"; }
  std::string file(const std::string& name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
  fs::path model_ = folder_.path() / "model";
};

TEST_F(DataCheckCommand, SaysWhatIsInGoodData) {
  const CommandResult result = check((images() / "bccd_val.json").string());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("samples         159\n"));
  EXPECT_THAT(result.out, HasSubstr("good            159 (100.0%)\n"));
  EXPECT_THAT(result.out, HasSubstr("template        vicuna_v1\n"));
  EXPECT_THAT(result.out, HasSubstr("tokens a sample"));
}

TEST_F(DataCheckCommand, ListsWhatIsBadAndEndsWithTwo) {
  json samples = json::parse(read_file(images() / "bccd_val.json"));
  samples[3]["image"] = "bccd/images/lost.jpg";
  samples[5]["conversations"].clear();
  write_file(file("data.json"), samples.dump(1));
  const CommandResult result = check(file("data.json"), {"--list", file("bad.jsonl")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, HasSubstr("missing image: 1\n"));
  EXPECT_THAT(result.out, HasSubstr("data.json: sample 3 (line "));
  EXPECT_THAT(result.err, HasSubstr("error: " + file("data.json") + ": 2 of 159 samples are bad"));
  EXPECT_THAT(result.err, HasSubstr("hint: "));
  const std::vector<std::string> lines = split(read_file(file("bad.jsonl")), '\n');
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(json::parse(lines[0])["sample"], 3);
  EXPECT_EQ(json::parse(lines[1])["reason"], "unknown role");

  const CommandResult as_json = check(file("data.json"), {"--json"});
  EXPECT_EQ(as_json.exit_code, 2);
  const json report = json::parse(as_json.out);
  EXPECT_EQ(report["samples"], 159);
  EXPECT_EQ(report["bad"], 2);
  EXPECT_EQ(report["reasons"]["missing image"]["count"], 1);
  EXPECT_EQ(report["reasons"]["missing image"]["first"][0]["sample"], 3);
}

TEST_F(DataCheckCommand, ABrokenFileIsAnErrorWithItsPlace) {
  write_file(file("data.json"), "[{\"id\": \"a\"},\n{\"id\": \"b\n");
  const CommandResult result = check(file("data.json"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("data.json: line 2 (byte 23): the line ends inside a string"));
  EXPECT_EQ(check(file("absent.json")).exit_code, 2);
  EXPECT_EQ(run_command({STRIATE_PROGRAM, "data"}).exit_code, 2);
}

}  // namespace
}  // namespace striate::test
