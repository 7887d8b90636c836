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
      {{"--text-families", "color"}, "asks about a scene"},
      {{"--grid", "9"}, "a grid of 9"},
      {{"--train", "-1"}, "training pictures: -1"},
      {{"--labels", "2"}, "outside 0 to 1"},
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

TEST_F(MiniCommand, HelpShowsAnExample) {
  const CommandResult result = run_command({STRIATE_PROGRAM, "mini", "render", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("Example:"));
}

}  // namespace
}  // namespace striate::test
