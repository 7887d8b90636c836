// A flag that nothing would read beside the others is refused before anything is opened: the folders that are named
// here do not exist.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "striate/base/strings.h"
#include "tests/commands/called_command.h"

namespace striate::test {
namespace {

using testing::StartsWith;

using Arguments = std::vector<std::string>;

void expect_unread(const Arguments& command, const std::vector<std::pair<Arguments, std::string>>& cases) {
  for (const auto& [more, message] : cases) {
    Arguments all = command;
    all.insert(all.end(), more.begin(), more.end());
    SCOPED_TRACE(join(all, " "));
    const Error error = refusal_of(all);
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_EQ(std::string(error.what()), message);
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(UnreadFlags, OfOtherFormatsAreRefusedByExport) {
  expect_unread(
      {"export", "--model", "m", "--out", "o"},
      {{{"--gguf-type", "q8_0"}, "--gguf-type does not apply to --format hf"},
       {{"--mmproj-type", "f16"}, "--mmproj-type does not apply to --format hf"},
       {{"--no-mmproj", "--format", "peft"}, "--no-mmproj does not apply to --format peft"},
       {{"--max-shard-size", "1GB", "--format", "peft"}, "--max-shard-size does not apply to --format peft"},
       {{"--max-shard-size", "1GB", "--format", "gguf"}, "--max-shard-size does not apply to --format gguf"},
       {{"--format", "gguf", "--no-mmproj", "--mmproj-type", "f16"}, "--mmproj-type does not apply to --no-mmproj"}});
}

TEST(UnreadFlags, OfASweepAreRefusedByPruningOnce) {
  expect_unread({"prune", "--model", "m", "--out", "o", "--layers", "1"},
                {{{"--report", "r.html"}, "--report needs --sweep"},
                 {{"--eval-data", "d.json"}, "--eval-data needs --sweep"},
                 {{"--eval-benchmark", "mini"}, "--eval-benchmark needs --sweep"},
                 {{"--eval-samples", "3"}, "--eval-samples needs --sweep"},
                 {{"--baseline", "b"}, "--baseline needs --sweep"},
                 {{"--overwrite"}, "--overwrite needs --sweep"}});
}

TEST(UnreadFlags, OfOnePruningAreRefusedByASweep) {
  expect_unread({"prune", "--model", "m", "--sweep", "0..2", "--eval-data", "d.json", "--scores", "s.json"},
                {{{"--remove", "1"}, "--remove does not apply to --sweep"},
                 {{"--layers", "1"}, "--layers does not apply to --sweep"},
                 {{"--keep-adapter"}, "--keep-adapter does not apply to --sweep"},
                 {{"--dtype", "bf16"}, "--dtype does not apply to --sweep"},
                 {{"--no-verify"}, "--no-verify does not apply to --sweep"}});
}

TEST(UnreadFlags, OfDataThatIsNotReadAreRefusedByPrune) {
  const Arguments prune = {"prune", "--model", "m", "--out", "o"};
  expect_unread(prune,
                {{{"--layers", "1", "--data", "d.json"}, "--data does not apply to --layers"},
                 {{"--layers", "1", "--metric", "bi"}, "--metric does not apply to --layers"},
                 {{"--layers", "1", "--samples", "5"}, "--samples needs --data"},
                 {{"--remove", "1", "--scores", "s.json", "--images", "i"}, "--images needs --data"},
                 {{"--remove", "1", "--scores", "s.json", "--max-tokens", "9"}, "--max-tokens needs --data"},
                 {{"--remove", "1", "--scores", "s.json", "--data", "d.json"}, "--data does not apply to --scores"}});
  const Arguments sweep = {"prune", "--model", "m", "--sweep", "0..2", "--eval-data", "d.json", "--scores", "s.json"};
  expect_unread(sweep, {{{"--seed", "1"}, "--seed needs --data"},
                        {{"--data", "d.json"}, "--data does not apply to --scores"},
                        {{"--data", "d.json", "--baseline", "b", "--baseline-scores", "t.json"},
                         "--data does not apply to --scores"}});
}

// What measures the baseline's scores is read beside the score file of the model, and goes on to its missing folder.
TEST(UnreadFlags, DataMeasuresTheScoresOfABaselineWithoutAFile) {
  const Error error = refusal_of({"prune", "--sweep", "0..2", "--eval-data", "d.json", "--scores", "s.json", "--data",
                                  "/nonexistent/d.json", "--samples", "5", "--baseline", "b"});
  EXPECT_THAT(std::string(error.what()), StartsWith("--data /nonexistent/d.json: no such file"));
}

TEST(UnreadFlags, OfDataThatIsNotReadAreRefusedByScore) {
  expect_unread({"score", "--model", "m", "--base", "b", "--out", "s.json"},
                {{{"--images", "i"}, "--images needs --data"},
                 {{"--samples", "5"}, "--samples needs --data"},
                 {{"--metrics", "bi"}, "--metrics needs --data"},
                 {{"--template", "plain"}, "--template needs --data"},
                 {{"--max-tokens", "9"}, "--max-tokens needs --data"},
                 {{"--data", "d.json", "--no-shuffle", "--seed", "1"}, "--seed does not apply to --no-shuffle"}});
}

TEST(UnreadFlags, OfTheTableOfRulesAreRefusedBesideNamedLayers) {
  expect_unread({"region", "--layers-total", "8", "--layers", "0,4"},
                {{{"--share", "50%"}, "--share does not apply to --layers"},
                 {{"--scores", "s.json"}, "--scores does not apply to --layers"}});
}

}  // namespace
}  // namespace striate::test
