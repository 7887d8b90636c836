// Bad files, paths and numbers, and faults of the machine, from outside: each ends in one line that names the file or
// flag, a hint and the right exit status. Many more of them are in tests/commands/faults_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

// One error line with `name` in it, a hint, and no other library's words.
void expect_refused(const CommandResult& result, const std::string& name, const std::vector<int>& statuses = {2}) {
  EXPECT_NE(std::find(statuses.begin(), statuses.end(), result.exit_code), statuses.end())
      << "exit status " << result.exit_code << "\n"
      << result.err;
  std::vector<std::string> errors;
  bool hint = false;
  for (const std::string& line : split(result.err, '\n')) {
    if (line.starts_with("error: ")) errors.push_back(line);
    hint = hint || line.starts_with("hint: ");
  }
  ASSERT_EQ(errors.size(), 1U) << result.err;
  EXPECT_THAT(errors.front(), HasSubstr(name));
  EXPECT_TRUE(hint) << result.err;
  for (const char* foreign : {"internal:", "json.exception", "std::", "filesystem error", "terminate"}) {
    EXPECT_THAT(result.err, Not(HasSubstr(foreign)));
  }
}

class Faults : public testing::Test {
 protected:
  // A language model of a few kilobytes.
  void SetUp() override {
    const CommandResult made =
        run_command({STRIATE_PROGRAM, "init", "--arch", "llama-2-7b", "--layers", "2", "--hidden", "16", "--heads", "2",
                     "--kv-heads", "2", "--mlp", "24", "--vocab", "80", "--out", path("m")});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  CommandResult striate(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), STRIATE_PROGRAM);
    return run_command(arguments);
  }
  void put(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_.path() / name).parent_path());
    write_file(folder_.path() / name, text);
  }

  TemporaryFolder folder_;
};

TEST_F(Faults, ADamagedFileAndAnImpossiblePathEndInOneLine) {
  put("m/config.json", R"({"zz": 1, "zz": 2})");
  expect_refused(striate({"inspect", "--model", path("m")}), "m/config.json");
  fs::create_symlink("loop", folder_.path() / "loop");
  expect_refused(striate({"inspect", "--model", path("loop")}), path("loop"));
  expect_refused(striate({"inspect", "--model", path("caf\xE9")}), "caf\\xe9");
  expect_refused(striate({"train", "--lr", "nan"}), "--lr");
}

TEST_F(Faults, AFileLimitIsAnErrorNotTheEndWithoutAWord) {
  const CommandResult result =
      run_command({"/bin/sh", "-c", "ulimit -f 8; exec \"$0\" \"$@\"", STRIATE_PROGRAM, "init", "--arch", "llama-2-7b",
                   "--layers", "2", "--hidden", "64", "--mlp", "64", "--heads", "2", "--out", path("big")});
  expect_refused(result, "big", {1});
  EXPECT_FALSE(fs::exists(path("big")));
}

}  // namespace
}  // namespace striate::test
