// A flag that nothing would read beside the others is refused before anything is opened: the folders that are named
// here do not exist.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "striate/base/strings.h"
#include "tests/commands/called_command.h"
#include "tests/support/paths.h"

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
                 {{"--remove", "1", "--scores", "s.json", "--device", "cpu"}, "--device needs --data"},
                 {{"--layers", "1", "--precision", "fp32"}, "--precision needs --data"},
                 {{"--remove", "1", "--scores", "s.json", "--data", "d.json"}, "--data does not apply to --scores"}});
  const Arguments sweep = {"prune", "--model", "m", "--sweep", "0..2", "--eval-data", "d.json", "--scores", "s.json"};
  expect_unread(
      sweep,
      {{{"--seed", "1"}, "--seed needs --data"},
       {{"--overwrite"}, "--overwrite needs --report"},
       {{"--eval-benchmark", "mini", "--images", "i"}, "--images needs --data"},
       {{"--eval-benchmark", "mini", "--eval-max-tokens", "9"}, "--eval-max-tokens does not apply to --eval-benchmark"},
       {{"--data", "d.json"}, "--data does not apply to --scores"},
       {{"--data", "d.json", "--baseline", "b", "--baseline-scores", "t.json"}, "--data does not apply to --scores"}});
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
                 {{"--data", "d.json", "--metrics", "image_attention", "--after-final-norm"},
                  "--after-final-norm does not apply to these --metrics"},
                 {{"--data", "d.json", "--no-shuffle", "--seed", "1"}, "--seed does not apply to --no-shuffle"}});
}

TEST(UnreadFlags, OfTheTableOfRulesAreRefusedBesideNamedLayers) {
  expect_unread({"region", "--layers-total", "8", "--layers", "0,4"},
                {{{"--share", "50%"}, "--share does not apply to --layers"},
                 {{"--scores", "s.json"}, "--scores does not apply to --layers"}});
}

TEST(UnreadFlags, OfAnEvaluationAreRefusedByARunWithoutOne) {
  for (const std::string command : {"train", "heal"}) {
    expect_unread({command, "--model", "m", "--data", "d.json", "--layers", "1", "--out", "o"},
                  {{{"--eval-images", "i"}, "--eval-images needs --eval-data"},
                   {{"--eval-samples", "3"}, "--eval-samples needs --eval-data"},
                   {{"--eval-max-tokens", "3"}, "--eval-max-tokens needs --eval-data"},
                   {{"--eval-every", "3"}, "--eval-every needs --eval-data"},
                   {{"--eval-first"}, "--eval-first needs --eval-data"},
                   {{"--eval-benchmark", "mini", "--eval-data", "w", "--eval-max-tokens", "3"},
                    "--eval-max-tokens does not apply to --eval-benchmark"}});
  }
}

TEST(UnreadFlags, OfWhatARunDoesNotDoAreRefused) {
  for (const std::string command : {"train", "heal"}) {
    expect_unread(
        {command, "--model", "m", "--data", "d.json", "--layers", "1", "--out", "o"},
        {{{"--warmup-ratio", "0.1", "--warmup-steps", "5"},
          "--warmup-ratio does not apply to a warm-up of --warmup-steps"},
         {{"--max-bad-share", "0.1"}, "--max-bad-share needs --on-bad-sample skip"},
         {{"--freeze-projector", "--projector-lr", "1e-3"}, "--projector-lr does not apply to --freeze-projector"},
         {{"--vision-tower-lr", "1e-6"}, "--vision-tower-lr needs --tune-vision-tower"},
         {{"--tune-vision-tower", "--feature-cache", "2GB"}, "--feature-cache does not apply to --tune-vision-tower"},
         {{"--tune-vision-tower", "--feature-cache-dir", "c"},
          "--feature-cache-dir does not apply to --tune-vision-tower"}});
  }
}

TEST(UnreadFlags, OfOtherStagesAndKindsOfTuningAreRefusedByTrain) {
  const std::string adapter = "does not apply to a run that writes an adapter";
  expect_unread(
      {"train", "--model", "m", "--data", "d.json", "--out", "o"},
      {{{"--stage", "align", "--lr", "1e-3"}, "--lr does not apply to --stage align, which trains only the projector"},
       {{"--stage", "align", "--tune", "full"}, "--tune does not apply to --stage align"},
       {{"--stage", "align", "--lora-r", "8"}, "--lora-r does not apply to --stage align"},
       {{"--stage", "align", "--max-shard-size", "1GB"},
        "--max-shard-size does not apply to a run that writes a projector"},
       {{"--stage", "pretrain", "--lora-targets", "q_proj"}, "--lora-targets does not apply to --stage pretrain"},
       {{"--tune", "full", "--lora-alpha", "8"}, "--lora-alpha does not apply to --tune full"},
       {{"--tune", "full", "--lora-dropout", "0"}, "--lora-dropout does not apply to --tune full"},
       {{"--save-dtype", "bf16"}, cat("--save-dtype ", adapter)},
       {{"--max-shard-size", "1GB"}, cat("--max-shard-size ", adapter)}});
}

// One file serves several stages: what one of them does not read is no mistake there, and neither is a flag that takes
// the place of a key.
TEST(UnreadFlags, InAFileOfSettingsAreLeftToTheRunsThatReadThem) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "run.toml").string();
  write_file(file, "lora-r = 8\nlr = 1e-3\nwarmup-ratio = 0.1\neval-every = 5\n");
  const std::vector<Arguments> ways = {{"--stage", "align"}, {"--tune", "full", "--layers", "1"}};
  for (const Arguments& way : ways) {
    Arguments train = {"train", "--config", file, "--model", "/nonexistent/m", "--warmup-steps", "2", "--out", "o"};
    train.insert(train.end(), way.begin(), way.end());
    EXPECT_THAT(std::string(refusal_of(train).what()), StartsWith("--model /nonexistent/m: no such file"));
  }
}

TEST(UnreadFlags, OfATeacherAreRefusedWhereTheirLossHasNoWeight) {
  expect_unread(
      {"heal", "--model", "m", "--teacher", "t", "--data", "d.json", "--out", "o"},
      {{{"--hidden-weight", "0", "--hidden-layers", "1"}, "--hidden-layers does not apply to --hidden-weight 0"},
       {{"--kl-weight", "0", "--temperature", "2"}, "--temperature does not apply to --kl-weight 0"}});
}

TEST(UnreadFlags, OfDrawingTokensAreRefusedAtTemperatureZero) {
  const std::vector<Arguments> commands = {{"chat", "--model", "m", "--prompt", "p"},
                                           {"predict", "--model", "m", "--prompts", "p.jsonl", "--out", "o.jsonl"}};
  for (const Arguments& command : commands) {
    expect_unread(command, {{{"--top-p", "0.9"}, "--top-p needs a --temperature above 0"},
                            {{"--temperature", "0", "--top-k", "5"}, "--top-k needs a --temperature above 0"},
                            {{"--raw", "--template", "plain"}, "--template does not apply to --raw"}});
  }
}

TEST(UnreadFlags, OfFilesThatAreNotWrittenAreRefused) {
  expect_unread({"data", "check", "--model", "m", "--data", "d.json"}, {{{"--overwrite"}, "--overwrite needs --list"}});
  const std::vector<Arguments> commands = {
      {"eval", "score", "--answers", "a", "--benchmark", "mini", "--data", "d"},
      {"eval", "compare", "a", "b", "--benchmark", "mini", "--data", "d", "--protocol", "strict"}};
  for (const Arguments& command : commands) {
    expect_unread(command, {{{"--questions", "5"}, "--questions needs --html"},
                            {{"--pictures", "p"}, "--pictures needs --html"},
                            {{"--overwrite"}, "--overwrite needs --html"}});
  }
}

TEST(UnreadFlags, OfTextForPeopleAreRefusedBesideJson) {
  expect_unread({"eval", "compare", "a", "b", "--json"}, {{{"--changed", "5"}, "--changed does not apply to --json"}});
  expect_unread({"study", "plan", "s.toml", "--level", "0"}, {{{"--json"}, "--json does not apply to --level"}});
}

TEST(UnreadFlags, OfTextsThatAreNotMadeAreRefusedByMini) {
  expect_unread({"mini", "render", "--out", "o"},
                {{{"--text-families", "sum"}, "--text-families needs --text"},
                 {{"--text-family-share", "0.5"}, "--text-family-share needs --text"},
                 {{"--text", "5", "--text-families", "none", "--text-family-share", "0.5"},
                  "--text-family-share does not apply to --text-families none"}});
}

TEST(UnreadFlags, OfWholeModelsAreRefusedByRevertBesideAnAdapter) {
  expect_unread({"revert", "--model", "m", "--adapter", "a", "--layers", "1", "--out", "o"},
                {{{"--base", "b"}, "--base does not apply to --adapter"}});
}

}  // namespace
}  // namespace striate::test
