// striate score from outside, and the commands that read what it writes.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/cli/train_world.h"
#include "tests/support/ports.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class ScoreCommand : public TrainCommand {
 protected:
  static std::vector<std::string> arguments(const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {STRIATE_PROGRAM, "score",        "--model",   model(),  "--data",    data(),
                                    "--images",      file("images"), "--samples", "12",     "--threads", "1",
                                    "--precision",   "fp32",         "--out",     file(out)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static CommandResult score(const std::string& out, const std::vector<std::string>& more = {}) {
    return run_command(arguments(out, more));
  }
  static CommandResult program(std::vector<std::string> all) {
    all.insert(all.begin(), STRIATE_PROGRAM);
    return run_command(all);
  }
  static json scores(const std::string& name) { return json::parse(read_file(file(name))); }
  // An adapter on layers 1 and 3, made once.
  static std::string adapter() {
    if (!fs::exists(file("tuned"))) {
      const CommandResult made = train("tuned", {"--steps", "3"});
      EXPECT_EQ(made.exit_code, 0) << made.err;
    }
    return file("tuned");
  }
  // A language model alone, of three layers, made once.
  static std::string text_model() {
    if (!fs::exists(file("text"))) {
      const CommandResult made =
          program({"init", "--arch", "llama-2-7b", "--layers", "3", "--hidden", "32", "--heads", "4", "--mlp", "48",
                   "--tokenizer", (fs::path(STRIATE_SOURCE) / "demo/tokenizer.model").string(), "--out", file("text")});
      EXPECT_EQ(made.exit_code, 0) << made.err;
    }
    return file("text");
  }
};

TEST_F(ScoreCommand, WritesAFileATableAndAPage) {
  const CommandResult result = score("scores.json", {"--report", file("scores.html")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("model: 4 layers, 12 samples"));
  EXPECT_THAT(result.out, HasSubstr("bi_multimodal"));
  EXPECT_THAT(result.out, HasSubstr("image_attention"));
  EXPECT_THAT(result.out, HasSubstr("+-"));
  const json file_json = scores("scores.json");
  EXPECT_EQ(file_json["layers"], 4);
  EXPECT_EQ(file_json["samples"], 12);
  EXPECT_EQ(file_json["angular"].size(), 4U);
  EXPECT_EQ(file_json["image_attention_heads"].size(), 4U);
  EXPECT_EQ(file_json["tokens"]["zero_norm"], (json{0, 0, 0, 0}));
  EXPECT_EQ(file_json["settings"]["seed"], 234);
  EXPECT_EQ(file_json["settings"]["after_final_norm"], false);
  EXPECT_EQ(file_json["decoder"]["hidden"], 32);
  const int pictures = file_json["metrics"]["bi_image"]["samples"][0];
  EXPECT_LT(pictures, 12);
  EXPECT_THAT(result.err, HasSubstr(cat(pictures, " of the 12 samples have a value of bi_image, bi_multimodal")));
  const std::string page = read_file(file("scores.html"));
  EXPECT_THAT(page, StartsWith("<!doctype html>"));
  EXPECT_THAT(page, HasSubstr("bi_multimodal"));
}

TEST_F(ScoreCommand, JsonIsOneObjectAndNothingElse) {
  const CommandResult result = score("j.json", {"--json", "--metrics", "bi", "--after-final-norm", "--no-shuffle"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json printed = json::parse(result.out);
  EXPECT_EQ(printed, scores("j.json"));
  EXPECT_FALSE(printed.contains("angular"));
  EXPECT_FALSE(printed.contains("image_attention_heads"));
  EXPECT_EQ(printed["settings"]["after_final_norm"], true);
  EXPECT_TRUE(printed["settings"]["seed"].is_null());
}

TEST_F(ScoreCommand, TheFinalNormChangesTheLastLayerAlone) {
  ASSERT_EQ(score("raw.json", {"--metrics", "bi"}).exit_code, 0);
  ASSERT_EQ(score("normed.json", {"--metrics", "bi", "--after-final-norm"}).exit_code, 0);
  const json raw = scores("raw.json")["metrics"]["bi"]["mean"], normed = scores("normed.json")["metrics"]["bi"]["mean"];
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(raw[i], normed[i]);
  EXPECT_NE(raw[3], normed[3]);
}

TEST_F(ScoreCommand, WeightsAloneShowWhichLayersTuningChanged) {
  const CommandResult result = program({"score", "--model", model(), "--adapter", adapter(), "--base", model(), "--out",
                                        file("change.json"), "--threads", "1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json change = scores("change.json");
  EXPECT_EQ(change["samples"], 0);
  const json& mean = change["metrics"]["param_change"]["mean"];
  EXPECT_EQ(mean[0], 0.0);
  EXPECT_GT(mean[1], 0.0);
  EXPECT_EQ(mean[2], 0.0);
  EXPECT_GT(mean[3], 0.0);
  EXPECT_FALSE(change["metrics"].contains("bi"));
  EXPECT_EQ(change["param_change_linears"].size(), 7U);
  EXPECT_THAT(change["model"].get<std::string>(), HasSubstr("model with tuned"));
  const CommandResult region =
      program({"region", "--model", model(), "--layers", "score:" + file("change.json") + ":param_change:2", "--json"});
  ASSERT_EQ(region.exit_code, 0) << region.err;
  EXPECT_EQ(json::parse(region.out)["sets"][0]["layers"], (json{1, 3}));
}

TEST_F(ScoreCommand, EveryCommandThatNamesLayersReadsTheFile) {
  ASSERT_EQ(score("use.json").exit_code, 0);
  const std::string best = "score:" + file("use.json") + ":bi_multimodal:2";
  const std::string spread = "stratified:" + file("use.json") + ":image_attention:50%";
  const CommandResult region = program({"region", "--model", model(), "--layers", best, spread, "--json"});
  ASSERT_EQ(region.exit_code, 0) << region.err;
  const json chosen = json::parse(region.out)["sets"][0]["layers"];
  EXPECT_EQ(chosen.size(), 2U);
  const CommandResult table = program({"region", "--layers-total", "4", "--scores", file("use.json"), "--share", "2"});
  EXPECT_THAT(table.out, HasSubstr(":angular:2"));
  const CommandResult plan = program({"plan", "--model", model(), "--layers", spread});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  const CommandResult trained = train("by-score", {"--layers", best, "--steps", "1"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const json run = json::parse(read_file(fs::path(file("by-score")) / "run.json"));
  EXPECT_EQ(run["region"]["layers"], chosen);
}

TEST_F(ScoreCommand, ScoresOfAnotherModelAreRefusedWhereTheyAreUsed) {
  ASSERT_EQ(score("mine.json", {"--metrics", "bi"}).exit_code, 0);
  const auto other = [&](const std::string& name, const std::string& layers, const std::string& hidden) {
    EXPECT_EQ(program({"init", "--arch", "llama-2-7b", "--layers", layers, "--hidden", hidden, "--heads", "4", "--mlp",
                       "48", "--vocab", "64", "--out", file(name)})
                  .exit_code,
              0);
    return file(name);
  };
  const std::string spec = "score:" + file("mine.json") + ":bi:2";
  expect_refusal(program({"plan", "--model", other("wide", "4", "64"), "--layers", spec}), "is for another model");
  expect_refusal(program({"region", "--model", other("deep", "5", "32"), "--layers", spec}),
                 "is for a decoder of 4 layers, but this decoder has 5");
}

TEST_F(ScoreCommand, TwoRanksWriteTheScoresOfOne) {
  ASSERT_EQ(score("one.json").exit_code, 0);
  const std::string port = std::to_string(free_port());
  std::vector<std::unique_ptr<Background>> ranks;
  for (const char* rank : {"0", "1"}) {
    const std::map<std::string, std::string> environment = {
        {"RANK", rank}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}};
    ranks.push_back(std::make_unique<Background>(arguments("two.json"), environment));
  }
  for (const auto& rank : ranks) {
    const CommandResult result = rank->wait();
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  const json one = scores("one.json"), two = scores("two.json");
  EXPECT_EQ(two["settings"]["hardware"]["ranks"], 2);
  for (const auto& [name, metric] : one["metrics"].items()) {
    EXPECT_EQ(metric["samples"], two["metrics"][name]["samples"]);
    for (const char* key : {"mean", "standard_error"}) {
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_NEAR(metric[key][i].get<double>(), two["metrics"][name][key][i].get<double>(), 1e-6) << name;
      }
    }
  }
}

TEST_F(ScoreCommand, MistakesAreOneLineAndAHint) {
  const std::string out = file("never.json");
  const auto without_data = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = {"score", "--model", model(), "--out", out};
    all.insert(all.end(), more.begin(), more.end());
    return program(all);
  };
  expect_refusal(without_data({"--data", data(), "--samples", "0"}), "--samples: 0 is not a whole number");
  expect_refusal(without_data({}), "neither --data nor --base was given");
  expect_refusal(without_data({"--base", model(), "--samples", "3"}), "--samples needs --data");
  expect_refusal(without_data({"--data", "/nonexistent"}), "--data /nonexistent: no such file");
  expect_refusal(without_data({"--base", "/nonexistent"}), "--base /nonexistent: no such file");
  expect_refusal(without_data({"--data", data(), "--images", "/nonexistent"}), "--images /nonexistent");
  expect_refusal(score("never.json", {"--metrics", "ba"}), "--metrics ba: unknown");
  expect_refusal(program({"score", "--model", model(), "--data", data()}), "no --out file");
  expect_refusal(program({"score", "--model", model(), "--data", data(), "--out", file("none/scores.json")}),
                 "there is no folder");
  expect_refusal(score("never.json", {"--report", file("images")}), "images: a folder, not a file");
  expect_refusal(program({"score", "--data", data(), "--out", out}), "no model was given");
  expect_refusal(without_data({"--base", text_model()}), "has 3 layers, but the model has 4");
  expect_refusal(
      program({"score", "--model", text_model(), "--data", data(), "--images", file("images"), "--out", out}),
      "the model has no vision tower");
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(ScoreCommand, AModelWithoutVisionIsScoredOnText) {
  const CommandResult result = program({"score", "--model", text_model(), "--data", data(), "--images", file("images"),
                                        "--out", file("text.json"), "--on-bad-sample", "skip", "--samples", "30"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json text = scores("text.json");
  EXPECT_EQ(text["samples"], 10);
  EXPECT_EQ(text["settings"]["samples_bad"], 20);
  EXPECT_TRUE(text["metrics"]["bi_image"]["mean"][0].is_null());
  EXPECT_THAT(result.err, HasSubstr("for some layers none of the 10 samples has a value of bi_image"));
  expect_refusal(program({"region", "--layers-total", "3", "--layers", "score:" + file("text.json") + ":bi_image:1"}),
                 "no value of bi_image");
}

}  // namespace
}  // namespace striate::test
