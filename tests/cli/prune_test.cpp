// striate prune from outside: what it removes, what it leaves behind, what it refuses.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "tests/cli/train_world.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

class Prune : public TrainCommand {
 protected:
  static void SetUpTestSuite() {
    TrainCommand::SetUpTestSuite();
    const CommandResult tuned = train("tuned", {"--steps", "12"});  // the region is 1,3 of 4 layers
    ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
    const CommandResult scored = run_command({STRIATE_PROGRAM, "score", "--model", model(), "--adapter", file("tuned"),
                                              "--data", data(), "--images", file("images"), "--samples", "30",
                                              "--threads", "1", "--precision", "fp32", "--out", file("scores.json")});
    ASSERT_EQ(scored.exit_code, 0) << scored.err;
  }
  static CommandResult prune(const std::vector<std::string>& more) {
    std::vector<std::string> all = {STRIATE_PROGRAM, "prune", "--model", model(), "--threads", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return run_command(all);
  }
  static CommandResult prune_tuned(const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> all = {"--adapter", file("tuned"), "--out", file(out)};
    all.insert(all.end(), more.begin(), more.end());
    return prune(all);
  }
  static json answer(const std::vector<std::string>& which) {
    std::vector<std::string> all = {STRIATE_PROGRAM, "chat", "--json",  "--precision",         "fp32",
                                    "--max-tokens",  "8",    "--image", file("images/p0.bmp"), "--prompt",
                                    "What is it?"};
    all.insert(all.end(), which.begin(), which.end());
    const CommandResult result = run_command(all);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? json::parse(result.out)["ids"] : json();
  }
  static std::vector<json> answers_in(const std::string& path) {
    std::vector<json> all;
    for (const std::string& line : split(read_file(path), '\n')) {
      if (!line.empty()) all.push_back(json::parse(line));
    }
    return all;
  }
  static void refused(const std::vector<std::string>& more, const std::string& what) {
    expect_refusal(prune_tuned("no", more), what);
    EXPECT_FALSE(fs::exists(file("no")));
  }
};

TEST_F(Prune, RemovesALayerOutsideTheRegionAndChecksWhatItWrote) {
  const CommandResult result =
      prune_tuned("pruned", {"--remove", "1", "--metric", "angular", "--scores", file("scores.json")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("before   ████  4 layers"), HasSubstr("region   ·█·█  1,3"),
                    AnyOf(HasSubstr("after    ·███  3 layers"), HasSubstr("after    ██·█  3 layers")),
                    HasSubstr("saved "), HasSubstr("logits: largest difference"), HasSubstr("striate chat --model")));
  const json config = json::parse(read_file(file("pruned/config.json")));
  EXPECT_EQ(config["text_config"]["num_hidden_layers"], 3);
  const json history = json::parse(read_file(file("pruned/striate.json")));
  EXPECT_EQ(history["layers"]["of"], 4);
  EXPECT_EQ(history["pruning"]["region"]["layers"], json({1, 3}));
  const auto removed = history["pruning"]["removed"][0]["layer"].get<std::int64_t>();
  EXPECT_TRUE(removed == 0 || removed == 2);
  EXPECT_EQ(answer({"--model", file("pruned")}).size(), 8U);
  const CommandResult inspected = run_command({STRIATE_PROGRAM, "inspect", "--model", file("pruned")});
  EXPECT_EQ(inspected.exit_code, 0) << inspected.err;
}

TEST_F(Prune, TheAdapterMergedOrCarriedOverIsTheSameModel) {
  const std::vector<std::string> flags = {"--layers", "2"};
  ASSERT_EQ(prune_tuned("merged", flags).exit_code, 0);
  std::vector<std::string> keep = flags;
  keep.insert(keep.end(), {"--keep-adapter", "--json"});
  const CommandResult kept = prune_tuned("kept", keep);
  ASSERT_EQ(kept.exit_code, 0) << kept.err;
  const json told = json::parse(kept.out);
  EXPECT_EQ(told["original"], json({0, 1, 3}));
  EXPECT_LT(told["check"]["relative"].get<double>(), 1e-5);
  EXPECT_LT(told["bytes"]["after"].get<double>(), told["bytes"]["before"].get<double>());
  EXPECT_EQ(answer({"--model", file("merged")}), answer({"--model", file("kept"), "--adapter", file("kept/adapter")}));
}

TEST_F(Prune, AnywhereAndAsABlockAndByAnotherMetric) {
  const auto removed = [](const std::string& out, std::vector<std::string> more) {
    more.insert(more.end(), {"--json", "--no-verify", "--scores", file("scores.json")});
    const CommandResult result = prune_tuned(out, more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    std::vector<std::int64_t> layers;
    if (result.exit_code != 0) return layers;
    const json told = json::parse(result.out);
    for (const json& layer : told["removed"]) layers.push_back(layer["layer"]);
    return layers;
  };
  const json scores = json::parse(read_file(file("scores.json")));
  const auto bi = scores["metrics"]["bi_multimodal"]["mean"].get<std::vector<double>>();
  const auto lowest = std::min_element(bi.begin(), bi.end()) - bi.begin();
  EXPECT_EQ(removed("any", {"--region", "none", "--remove", "1", "--metric", "bi_multimodal"}),
            std::vector<std::int64_t>{lowest});
  const auto blocks = scores["angular"]["2"]["mean"].get<std::vector<double>>();
  const auto best = std::min_element(blocks.begin(), blocks.end()) - blocks.begin();
  EXPECT_EQ(removed("block", {"--region", "none", "--remove", "2", "--contiguous"}),
            (std::vector<std::int64_t>{best, best + 1}));
  const std::vector<std::int64_t> spaced = removed("spaced", {"--region", "none", "--remove", "2", "--spaced"});
  ASSERT_EQ(spaced.size(), 2U);
  EXPECT_GT(std::abs(spaced[0] - spaced[1]), 1);
}

TEST_F(Prune, IterativelyItScoresTheDataAnew) {
  const CommandResult result =
      prune_tuned("steps", {"--remove", "2", "--iterative", "--data", data(), "--images", file("images"), "--samples",
                            "10", "--precision", "fp32", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json told = json::parse(result.out);
  EXPECT_EQ(told["original"], json({1, 3}));
  EXPECT_THAT(told["scores"].get<std::string>(), HasSubstr("scored again after each removal"));
  // And what is pruned is pruned again, by its own numbers.
  const CommandResult again = run_command({STRIATE_PROGRAM, "prune", "--model", file("steps"), "--layers", "0",
                                           "--region", "none", "--out", file("again"), "--threads", "1"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(json::parse(read_file(file("again/striate.json")))["layers"]["original"], json({3}));
}

TEST_F(Prune, ASweepMeasuresInsideAndOutsideTheRegionAndWritesNothingUnasked) {
  const std::vector<std::string> flags = {"--adapter",         file("tuned"),
                                          "--sweep",           "0..2",
                                          "--scores",          file("scores.json"),
                                          "--eval-data",       data(),
                                          "--images",          file("images"),
                                          "--eval-samples",    "6",
                                          "--precision",       "fp32",
                                          "--eval-max-tokens", "4"};
  const auto before = std::distance(fs::directory_iterator(file("")), {});
  std::vector<std::string> as_json = flags;
  as_json.emplace_back("--json");
  const CommandResult result = prune(as_json);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(std::distance(fs::directory_iterator(file("")), {}), before);
  const json sweep = json::parse(result.out);
  ASSERT_EQ(sweep["curves"].size(), 2U);
  EXPECT_EQ(sweep["curves"][0]["region"], json({1, 3}));
  for (const json& curve : sweep["curves"]) {
    ASSERT_EQ(curve["points"].size(), 3U);
    EXPECT_EQ(curve["points"][0]["loss"], sweep["curves"][0]["points"][0]["loss"]);
    EXPECT_EQ(curve["points"][2]["layers"].size(), 2U);
    EXPECT_EQ(curve["points"][0]["questions"], 6);
  }
  std::vector<std::string> to_folder = flags;
  to_folder.insert(to_folder.end(), {"--out", file("sweep")});
  const CommandResult written = prune(to_folder);
  ASSERT_EQ(written.exit_code, 0) << written.err;
  EXPECT_THAT(written.out, AllOf(HasSubstr("outside the region  ·█·█  1,3 stay"), HasSubstr("anywhere")));
  EXPECT_THAT(written.err, AllOf(HasSubstr("outside the region, 2 removed: loss "), HasSubstr("  wrong: ")));
  json kept = json::parse(read_file(file("sweep/sweep.json")));
  EXPECT_EQ(kept["curves"][0]["points"][2]["answers"], "eval/outside-the-region-removed-02.jsonl");
  for (json& curve : kept["curves"]) {
    for (json& point : curve["points"]) {
      const auto answers = answers_in(file("sweep/" + point["answers"].get<std::string>()));
      EXPECT_EQ(answers.size(), 6U);
      EXPECT_EQ(std::ranges::count(answers, true, [](const json& answer) { return answer.at("exact").get<bool>(); }),
                point["exact"].get<std::ptrdiff_t>());
      point.erase("answers");
    }
  }
  EXPECT_EQ(kept, sweep);
  EXPECT_THAT(read_file(file("sweep/report.html")), HasSubstr("<svg"));
}

TEST_F(Prune, ASweepOfBlocksEndsWhereNoBlockIsFreeAndKeepsWhatItMeasured) {
  const CommandResult result =
      prune({"--adapter", file("tuned"), "--sweep", "0..2", "--contiguous", "--scores", file("scores.json"),
             "--eval-data", data(), "--images", file("images"), "--eval-samples", "2", "--precision", "fp32",
             "--eval-max-tokens", "1", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json sweep = json::parse(result.out);
  EXPECT_EQ(sweep["curves"][0]["points"].size(), 2U);  // outside 1,3 of 4 layers no two are neighbours
  EXPECT_EQ(sweep["curves"][1]["points"].size(), 3U);
}

TEST_F(Prune, ASweepAsksABenchmark) {
  const std::vector<std::string> flags = {"--adapter",
                                          file("tuned"),
                                          "--sweep",
                                          "0..1",
                                          "--scores",
                                          file("scores.json"),
                                          "--eval-benchmark",
                                          "llava-json",
                                          "--eval-protocol",
                                          "vqa",
                                          "--eval-data",
                                          data(),
                                          "--eval-images",
                                          file("images"),
                                          "--eval-samples",
                                          "5",
                                          "--precision",
                                          "fp32",
                                          "--out",
                                          file("asked")};
  const CommandResult result = prune(flags);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              HasSubstr("llava-json by vqa, vqa with its 95% interval, and the removed layers; 5 questions"));
  EXPECT_THAT(result.err, HasSubstr("anywhere, 1 removed: llava-json by vqa"));
  const json sweep = json::parse(read_file(file("asked/sweep.json")));
  EXPECT_EQ(sweep["benchmark"]["name"], "llava-json");
  const json point = sweep["curves"][0]["points"][1];
  EXPECT_FALSE(point.contains("loss"));
  EXPECT_EQ(answers_in(file("asked/" + point["answers"].get<std::string>())).size(), 5U);
  const CommandResult scored =
      run_command({STRIATE_PROGRAM, "eval", "score", "--answers", file("asked/" + point["answers"].get<std::string>()),
                   "--benchmark", "llava-json", "--data", data(), "--protocol", "vqa", "--json"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(json::parse(scored.out)["scores"][0]["headline"]["value"], point["score"]);
  EXPECT_THAT(read_file(file("asked/report.html")), AllOf(HasSubstr("llava-json, vqa"), HasSubstr("<svg")));
}

TEST_F(Prune, ASweepComparesWithABaseline) {
  const CommandResult result = prune(
      {"--adapter",         file("tuned"), "--sweep",    "0..1",        "--data",      data(),           "--images",
       file("images"),      "--samples",   "5",          "--eval-data", data(),        "--eval-samples", "3",
       "--eval-max-tokens", "2",           "--baseline", model(),       "--precision", "fp32",           "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json sweep = json::parse(result.out);
  ASSERT_EQ(sweep["curves"].size(), 3U);
  EXPECT_EQ(sweep["curves"][2]["name"], "baseline, anywhere");
  EXPECT_NE(sweep["curves"][2]["points"][0]["loss"], sweep["curves"][0]["points"][0]["loss"]);
}

TEST_F(Prune, RefusesToRemoveWhatIsNotThere) {
  const std::vector<std::string> scores = {"--scores", file("scores.json")};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), scores.begin(), scores.end());
    return more;
  };
  refused(with({"--remove", "3"}), "only 2 layers of 4 lie outside the region 1,3");
  refused(with({"--remove", "4", "--region", "none"}), "one must stay");
  refused(with({"--remove", "0"}), "--remove: 0 is not a whole number");
  refused(with({"--remove", "1", "--region", "0,7"}), "7");
  refused(with({"--remove", "2", "--contiguous"}), "no 2 neighbouring layers lie outside the region 1,3");
  refused(with({"--remove", "1", "--metric", "angulr"}), "no metric \"angulr\"");
  refused({"--layers", "3"}, "layer 3 is in the region");
  refused({"--layers", "0-3", "--region", "none"}, "no layer would be left");
  refused({"--layers", "9"}, "9");
}

TEST_F(Prune, RefusesScoresOfAnotherModel) {
  json other = json::parse(read_file(file("scores.json")));
  other["decoder"]["hidden"] = 64;
  write_file(file("wider.json"), other.dump());
  refused({"--remove", "1", "--scores", file("wider.json")}, "is for a decoder of another width: 64");
  write_file(file("deeper.json"), json({{"format", "striate-scores"},
                                        {"version", 1},
                                        {"model", "m"},
                                        {"layers", 5},
                                        {"samples", 1},
                                        {"metrics", {{"bi", {{"mean", {1, 2, 3, 4, 5}}}}}}})
                                      .dump());
  refused({"--remove", "1", "--metric", "bi", "--scores", file("deeper.json")}, "of 5 layers, but this decoder has 4");
  refused({"--remove", "1", "--scores", file("absent.json")}, "absent.json");
}

TEST_F(Prune, RefusesWhatMakesNoSense) {
  refused({}, "no layers to remove were given");
  refused({"--remove", "1", "--layers", "2"}, "--remove and --layers");
  refused({"--remove", "1"}, "no scores to choose layers by were given");
  refused({"--remove", "1", "--metric", "list"}, "--metric list");
  refused({"--layers", "2", "--contiguous"}, "--layers excludes --scores");
  refused({"--remove", "1", "--iterative", "--scores", file("scores.json")},
          "--iterative and --scores exclude each other");
  refused({"--remove", "1", "--metric", "param_change", "--data", data()}, "data alone cannot measure this metric");
  refused({"--layers", "2", "--dtype", "int3"}, "--dtype int3");
  expect_refusal(prune({"--layers", "2", "--out", file("no")}), "no region is recorded");
  expect_refusal(prune({"--layers", "2", "--region", "none", "--keep-adapter", "--out", file("no")}),
                 "--keep-adapter needs an adapter");
  expect_refusal(prune({"--layers", "2", "--region", "none"}), "no --out folder");
  fs::create_directories(file("used"));
  write_file(file("used/thesis.txt"), "years of work");
  expect_refusal(prune({"--layers", "2", "--region", "none", "--out", file("used")}), "used");
  EXPECT_EQ(read_file(file("used/thesis.txt")), "years of work");
  expect_refusal(prune({"--sweep", "0..2"}), "--sweep needs held-out samples");
  for (const char* bad : {"2", "a..b", "3..1", "0..99"}) {
    expect_refusal(prune({"--region", "none", "--sweep", bad, "--eval-data", data(), "--scores", file("scores.json")}),
                   cat("--sweep ", bad));
  }
  expect_refusal(prune({"--sweep", "0..2", "--remove", "1", "--eval-data", data()}),
                 "--remove does not apply to --sweep");
  refused({"--layers", "2", "--report", file("no.html")}, "--report needs --sweep");
}

TEST_F(Prune, HelpHasAnExample) {
  const CommandResult result = run_command({STRIATE_PROGRAM, "prune", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("Example:"), HasSubstr("--region SPEC"), HasSubstr("--sweep A..B")));
}

}  // namespace
}  // namespace striate::test
