// striate train from outside: what it takes, what it leaves behind, what it refuses.
#include <gmock/gmock.h>

#include <algorithm>
#include <iterator>

#include "tests/cli/train_world.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Train : public TrainCommand {
 protected:
  static std::string answer(const std::vector<std::string>& which) {
    std::vector<std::string> all = {STRIATE_PROGRAM, "chat", "--json",  "--precision",         "fp32",
                                    "--max-tokens",  "8",    "--image", file("images/p0.bmp"), "--prompt",
                                    "What is it?"};
    all.insert(all.end(), which.begin(), which.end());
    const CommandResult result = run_command(all);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? nlohmann::json::parse(result.out)["ids"].dump() : "";
  }
  // The data and raw header of a safetensors file: name -> bytes.
  static std::map<std::string, std::string> tensors_of(const fs::path& path) {
    const std::string bytes = read_file(path);
    std::uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
    const nlohmann::json header = nlohmann::json::parse(bytes.substr(8, length));
    std::map<std::string, std::string> tensors;
    for (const auto& item : header.items()) {
      if (item.key() == "__metadata__") continue;
      const auto begin = item.value()["data_offsets"][0].get<std::size_t>();
      const auto end = item.value()["data_offsets"][1].get<std::size_t>();
      tensors.emplace(item.key(), bytes.substr(8 + length + begin, end - begin));
    }
    return tensors;
  }
};

TEST_F(Train, LeavesAnAdapterThatChatUsesAndARecord) {
  const CommandResult result = train("tuned", {"--steps", "10", "--tensorboard"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("trained 10 steps, 40 samples"), HasSubstr("striate chat --model")));
  EXPECT_THAT(result.err, AllOf(HasSubstr("layers 1,3 of 4"), HasSubstr("·█·█")));
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "non_lora_trainables.safetensors",
                           "run.json", "striate.json", "metrics.jsonl", "report.html"}) {
    EXPECT_TRUE(fs::exists(fs::path(file("tuned")) / name)) << name;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(file("tuned/tensorboard")), {}), 1);
  for (const auto& [name, bytes] : tensors_of(file("tuned/adapter_model.safetensors"))) {
    EXPECT_TRUE(name.starts_with("base_model.model.model.language_model.layers.1.") ||
                name.starts_with("base_model.model.model.language_model.layers.3."))
        << name;
  }
  for (const auto& [name, bytes] : tensors_of(file("tuned/non_lora_trainables.safetensors"))) {
    EXPECT_THAT(name, HasSubstr("multi_modal_projector"));
  }
  const nlohmann::json history = nlohmann::json::parse(read_file(file("tuned/striate.json")));
  EXPECT_EQ(history["region"]["layers"], nlohmann::json({1, 3}));
  EXPECT_EQ(history["base_history"]["made_by"], "striate init");
  EXPECT_NE(answer({"--model", model()}), answer({"--model", model(), "--adapter", file("tuned")}));
}

TEST_F(Train, TheLossFalls) {
  ASSERT_EQ(train("learns", {"--steps", "80", "--lr", "2e-2"}).exit_code, 0);
  const auto lines = metrics_of(file("learns"));
  EXPECT_LT(lines.back()["loss"].get<double>(), 0.6 * lines.front()["loss"].get<double>());
}

TEST_F(Train, FullTuningChangesItsLayersAndTheProjectorAndNothingElse) {
  ASSERT_EQ(train("full", {"--steps", "5", "--tune", "full"}).exit_code, 0);
  const auto before = tensors_of(file("model/model.safetensors"));
  const auto after = tensors_of(file("full/model.safetensors"));
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, bytes] : before) {
    ASSERT_EQ(after.count(name), 1U) << name;
    const bool trained = name.find("language_model.model.layers.1.") != std::string::npos ||
                         name.find("language_model.model.layers.3.") != std::string::npos ||
                         name.find("multi_modal_projector") != std::string::npos;
    EXPECT_EQ(after.at(name) != bytes, trained) << name;
  }
  answer({"--model", file("full")});
}

TEST_F(Train, AFrozenProjectorStaysOutOfTheResult) {
  ASSERT_EQ(train("frozen", {"--steps", "3", "--freeze-projector"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(file("frozen/non_lora_trainables.safetensors")));
}

TEST_F(Train, AligningLeavesAProjectorToTuneWith) {
  const CommandResult aligned = run_command(without(
      command("aligned", {"--steps", "4", "--stage", "align", "--on-bad-sample", "skip", "--max-bad-share", "1"}),
      {"--layers", "--lr"}));
  ASSERT_EQ(aligned.exit_code, 0) << aligned.err;
  EXPECT_THAT(aligned.out, HasSubstr("--projector"));
  for (const auto& [name, bytes] : tensors_of(file("aligned/mm_projector.safetensors"))) {
    EXPECT_THAT(name, HasSubstr("multi_modal_projector"));
  }
  EXPECT_NE(answer({"--model", model()}), "");
  const CommandResult tuned = train("after", {"--steps", "2", "--projector", file("aligned")});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
}

TEST_F(Train, AligningWithTheVisionTowerLeavesAModelToTune) {
  const CommandResult aligned =
      run_command(without(command("aligned_tower", {"--steps", "2", "--stage", "align", "--tune-vision-tower",
                                                    "--on-bad-sample", "skip", "--max-bad-share", "1"}),
                          {"--layers", "--lr"}));
  ASSERT_EQ(aligned.exit_code, 0) << aligned.err;
  EXPECT_THAT(aligned.out, HasSubstr(cat("striate train --model ", file("aligned_tower"), " --stage tune ...")));
  const CommandResult tuned = train("after_tower", {"--steps", "1", "--model", file("aligned_tower")});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_THAT(tuned.out, HasSubstr("trained 1 step, 4 samples, "));
  EXPECT_THAT(tuned.err, HasSubstr("data        30 samples, 1 step\n"));
}

TEST_F(Train, PretrainingChangesTheWholeDecoder) {
  const CommandResult result =
      run_command(without(command("pretrained", {"--steps", "3", "--stage", "pretrain"}), {"--layers"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto before = tensors_of(file("model/model.safetensors"));
  const auto after = tensors_of(file("pretrained/model.safetensors"));
  for (const auto& [name, bytes] : before) {
    EXPECT_EQ(after.at(name) != bytes, name.find("vision_tower") == std::string::npos) << name;
  }
}

TEST_F(Train, JsonIsOneObjectAndNothingElse) {
  const CommandResult result = train("json", {"--steps", "2", "--json", "--eval-data", data(), "--eval-samples", "4"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json out = nlohmann::json::parse(result.out);
  EXPECT_EQ(out["steps"], 2);
  EXPECT_EQ(out["layers"], nlohmann::json({1, 3}));
  EXPECT_EQ(out["eval_questions"], 4);
  EXPECT_TRUE(out["done"].get<bool>());
  EXPECT_EQ(result.err, "");
}

TEST_F(Train, HeldOutLossIsMeasuredBeforeMeanwhileAndAfter) {
  const CommandResult result = train(
      "held", {"--steps", "4", "--eval-data", data(), "--eval-samples", "6", "--eval-every", "2", "--eval-first"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::vector<int> steps;
  double first = 0;
  double last = 0;
  for (const nlohmann::json& line : metrics_of(file("held"))) {
    if (!line.contains("eval_loss")) continue;
    steps.push_back(line["step"]);
    last = line["eval_loss"];
    if (steps.size() == 1) first = last;
  }
  EXPECT_EQ(steps, (std::vector<int>{0, 2, 4}));
  EXPECT_LT(last, first);
  EXPECT_THAT(result.err, HasSubstr("held out after step 4: loss "));
  for (const char* name : {"step-000000.jsonl", "step-000002.jsonl", "step-000004.jsonl"}) {
    int answers = 0;
    for (const std::string& line : split(read_file(fs::path(file("held")) / "eval" / name), '\n')) {
      if (line.empty()) continue;
      const nlohmann::json answer = nlohmann::json::parse(line);
      EXPECT_EQ(answer.at("exact"), answer.at("text") == answer.at("reference"));
      ++answers;
    }
    EXPECT_EQ(answers, 6) << name;
  }
  EXPECT_THAT(result.err, testing::ContainsRegex("\n  (right|wrong): "));
}

TEST_F(Train, ABenchmarkIsAskedMeanwhileAndItsAnswersAreThoseOfAnEvaluation) {
  write_file(file("asks.toml"), cat("eval-benchmark = \"llava-json\"\neval-protocol = \"anls\"\neval-data = \"", data(),
                                    "\"\neval-images = \"", file("images"), "\"\neval-samples = 6\neval-every = 2\n"));
  const CommandResult result = train("asking", {"--steps", "4", "--config", file("asks.toml")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("held out after step 2: llava-json by anls, anls "));
  EXPECT_THAT(result.err, HasSubstr("6 of 6 questions"));
  EXPECT_THAT(result.err, testing::ContainsRegex("\n  (right|wrong): "));
  std::vector<nlohmann::json> evaluations;
  for (const nlohmann::json& line : metrics_of(file("asking"))) {
    if (line.contains("eval_score")) evaluations.push_back(line);
  }
  ASSERT_EQ(evaluations.size(), 2U);
  EXPECT_EQ(evaluations[0]["step"], 2);
  EXPECT_EQ(evaluations[1]["eval_benchmark"], "llava-json");
  EXPECT_EQ(evaluations[1]["eval_answered"], 6);
  EXPECT_FALSE(evaluations[1].contains("eval_loss"));
  // The kept answers are scored alike by another command, and are those that the result gives.
  const std::string answers = file("asking/eval/step-000004.jsonl");
  const CommandResult scored = run_command({STRIATE_PROGRAM, "eval", "score", "--answers", answers, "--benchmark",
                                            "llava-json", "--data", data(), "--protocol", "anls", "--json"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const nlohmann::json score = nlohmann::json::parse(scored.out)["scores"][0];
  EXPECT_EQ(score["answered"], 6);
  EXPECT_EQ(score["headline"]["value"], evaluations[1]["eval_score"]);
  const nlohmann::json record = nlohmann::json::parse(read_file(fs::path(file("asking")) / "run.json"));
  EXPECT_EQ(record["result"]["evaluation"]["score"], evaluations[1]["eval_score"]);
  const CommandResult asked = run_command({STRIATE_PROGRAM,
                                           "eval",
                                           "run",
                                           "--model",
                                           model(),
                                           "--adapter",
                                           file("asking"),
                                           "--benchmark",
                                           "llava-json",
                                           "--protocol",
                                           "anls",
                                           "--data",
                                           data(),
                                           "--images",
                                           file("images"),
                                           "--limit",
                                           "6",
                                           "--precision",
                                           "fp32",
                                           "--threads",
                                           "1",
                                           "--out",
                                           file("asked_after")});
  ASSERT_EQ(asked.exit_code, 0) << asked.err;
  const auto texts = [](const std::string& path) {
    std::map<std::string, std::string> all;
    for (const std::string& line : split(read_file(path), '\n')) {
      if (line.empty()) continue;
      const nlohmann::json answer = nlohmann::json::parse(line);
      all[answer["question_id"]] = answer["text"];
    }
    return all;
  };
  EXPECT_EQ(texts(answers), texts(file("asked_after/llava-json/answers.jsonl")));
}

TEST_F(Train, ABenchmarkThatCannotBeAskedEndsTheRunBeforeItsFirstStep) {
  expect_refusal(train("no", {"--eval-benchmark", "llava-jsn", "--eval-data", data()}), "llava-jsn");
  expect_refusal(train("no", {"--eval-benchmark", "llava-json"}), "--eval-benchmark needs the benchmark's files");
  expect_refusal(train("no", {"--eval-protocol", "anls", "--eval-data", data()}), "--eval-protocol needs a benchmark");
  expect_refusal(train("no", {"--eval-benchmark", "llava-json", "--eval-protocol", "anl", "--eval-data", data()}),
                 "anl");
  EXPECT_FALSE(fs::exists(file("no")));
  fs::create_directories(file("nothing"));
  expect_refusal(
      train("no", {"--eval-benchmark", "llava-json", "--eval-data", data(), "--eval-images", file("nothing")}),
      "20 of 20 pictures cannot be read");
}

TEST_F(Train, AccumulatingOverStreamsDoesNotChangeTheRun) {
  ASSERT_EQ(train("one_stream", {"--steps", "6", "--batch", "8"}).exit_code, 0);
  ASSERT_EQ(train("streams", {"--steps", "6", "--batch", "8", "--tokens-per-stream", "200"}).exit_code, 0);
  const auto a = metrics_of(file("one_stream"));
  const auto b = metrics_of(file("streams"));
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i]["loss"].get<double>(), b[i]["loss"].get<double>(), 2e-5);
    EXPECT_NEAR(a[i]["grad_norm"].get<double>(), b[i]["grad_norm"].get<double>(), 1e-3);
  }
}

TEST_F(Train, EveryActivationCheckpointingGivesTheSameRun) {
  for (const char* policy : {"keep", "mlp", "layer"}) {
    ASSERT_EQ(train(policy, {"--steps", "6", "--recompute", policy}).exit_code, 0);
    const auto a = metrics_of(file("keep"));
    const auto b = metrics_of(file(policy));
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_NEAR(a[i]["loss"].get<double>(), b[i]["loss"].get<double>(), 1e-5) << policy;
    }
  }
}

TEST_F(Train, AConfigFileSaysWhatTheCommandLineDoesNot) {
  write_file(file("run.toml"), cat("model = \"", model(), "\"\ndata = \"", data(), "\"\nimages = \"", file("images"),
                                   "\"\nlayers = [1, 3]\nlora_r = 4\nlora-alpha = 8\nbatch = 4\nlr = 1e-2\n"
                                   "projector-lr = 1e-3\nmax-tokens = 200\nprecision = \"fp32\"\nthreads = 1\n"
                                   "steps = 99\nseed = 5\n"));
  ASSERT_EQ(train("flags", {"--steps", "5", "--seed", "5"}).exit_code, 0);
  const CommandResult result = run_command(
      {STRIATE_PROGRAM, "train", "--config", file("run.toml"), "--steps", "5", "--out", file("configured")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  expect_same_run("flags", "configured", "step-000005");
}

TEST_F(Train, AFlagThatIsTypedTakesThePlaceOfTheOneItExcludesInTheFile) {
  write_file(file("either.toml"), "epochs = 1\nwarmup-steps = 1\n");
  ASSERT_EQ(train("either_typed", {"--steps", "3", "--warmup-ratio", "0.5"}).exit_code, 0);
  const CommandResult typed =
      train("either_file", {"--config", file("either.toml"), "--steps", "3", "--warmup-ratio", "0.5"});
  ASSERT_EQ(typed.exit_code, 0) << typed.err;
  EXPECT_THAT(typed.out, HasSubstr("trained 3 steps"));
  expect_same_run("either_typed", "either_file", "step-000003");
  write_file(file("either.toml"), "steps = 3\ntokens-per-step = 100\n");
  const CommandResult epochs = train("either_epochs", {"--config", file("either.toml"), "--epochs", "0.5"});
  ASSERT_EQ(epochs.exit_code, 0) << epochs.err;
  EXPECT_THAT(epochs.out, HasSubstr("trained 4 steps,"));  // --batch 4 is typed, too
  write_file(file("either.toml"), "epochs = 1\nsteps = 3\n");
  expect_refusal(train("no", {"--config", file("either.toml")}), "--steps and --epochs exclude each other");
  expect_refusal(train("no", {"--steps", "3", "--epochs", "1"}), "--steps and --epochs exclude each other");
  expect_refusal(train("no", {"--tokens-per-step", "100"}), "--batch and --tokens-per-step exclude each other");
  EXPECT_FALSE(fs::exists(file("no")));
}

TEST_F(Train, RunJsonRepeatsARun) {
  ASSERT_EQ(train("recorded", {"--steps", "5", "--lora-targets", "q_proj,v_proj", "--freeze-projector"}).exit_code, 0);
  const CommandResult result =
      run_command({STRIATE_PROGRAM, "train", "--config", file("recorded/run.json"), "--out", file("repeated")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(read_file(file("recorded/adapter_model.safetensors")) ==
              read_file(file("repeated/adapter_model.safetensors")));
}

TEST_F(Train, TheRecipesOfThePaperNameKnownSettingsOnly) {
  std::size_t recipes = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(STRIATE_SOURCE) / "configs")) {
    // What is left to say is the data: a recipe with a mistake would be refused for that before.
    expect_refusal(run_command({STRIATE_PROGRAM, "train", "--config", entry.path().string(), "--out", file("no")}),
                   "no data was given");
    ++recipes;
  }
  EXPECT_EQ(recipes, 5U);
}

TEST_F(Train, AShareOfTheDataIsDrawnOnceAndForAll) {
  const std::vector<std::string> half = {"--data-fraction", "0.5", "--steps", "2", "--save-every", "1"};
  const CommandResult result = train("half", half);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("data        15 samples"));
  EXPECT_EQ(nlohmann::json::parse(read_file(file("half/run.json")))["settings"]["data-fraction"], 0.5);
  expect_refusal(train("half", {"--steps", "2", "--save-every", "1", "--resume"}),
                 "--data-fraction: not set now, 0.5 in ");
  expect_refusal(train("never", {"--data-fraction", "1.5"}), "--data-fraction");
}

TEST_F(Train, AnEpochByTokensEndsWithItsLastSample) {
  // Samples of one length, and steps that lack a token to hold two of them: by their tokens alone, which fill four
  // steps, the six samples would end too early.
  nlohmann::json samples = nlohmann::json::array();
  for (int i = 0; i < 6; ++i) {
    samples.push_back({{"id", cat("even", i)},
                       {"conversations",
                        {{{"from", "human"}, {"value", "What is it?"}}, {{"from", "gpt"}, {"value", "It is this."}}}}});
  }
  write_file(file("even.json"), samples.dump());
  const CommandResult one = train("one_even", {"--data", file("even.json"), "--batch", "1", "--steps", "1"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const auto length = metrics_of(file("one_even")).back()["tokens"].get<std::int64_t>();
  const std::string budget = std::to_string(2 * length - 1);
  const std::vector<std::string> flags =
      without(command("by_tokens", {"--data", file("even.json"), "--epochs", "1", "--max-tokens", budget,
                                    "--tokens-per-step", budget, "--tokens-per-stream", budget}),
              {"--batch"});
  const CommandResult result = run_command(flags);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_GE(metrics_of(file("by_tokens")).size(), 6U);
  EXPECT_GE(metrics_of(file("by_tokens")).back()["epoch"].get<double>(), 1.0);
  std::vector<std::string> again = flags;
  again.emplace_back("--resume");
  const CommandResult resumed = run_command(again);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  *std::next(std::find(again.begin(), again.end(), "--epochs")) = "2";
  expect_refusal(run_command(again), "--epochs: 2.0 now, 1.0 in");
}

TEST_F(Train, MistakesInAConfigFileAreNamedByLine) {
  const auto with = [](const std::string& text) {
    write_file(file("bad.toml"), text);
    return train("never", {"--config", file("bad.toml")});
  };
  expect_refusal(with("lora-alpha = 8\nlorar = 3\n"), "bad.toml:2: unknown key \"lorar\"");
  expect_refusal(with("weight-decay = \"much\"\n"), "bad.toml:1: weight-decay = much");
  expect_refusal(with("json = true\n"), "unknown key \"json\"");
  expect_refusal(train("never", {"--config", file("absent.toml")}), "absent.toml");
  EXPECT_FALSE(fs::exists(file("never")));
}

TEST_F(Train, ALossThatIsNotFiniteStopsBeforeTheUpdateAndNamesSamples) {
  // A rate this large overflows in the first update; the second step's loss shows it.
  std::vector<std::string> all = command(
      "burst", {"--steps", "8", "--lr", "1e30", "--warmup-ratio", "0", "--save-every", "1", "--projector-lr", "1e30"});
  const CommandResult result = run_command(all);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("step 2: the loss is not finite; samples: "), HasSubstr("(line 1)"),
                                HasSubstr("hint: nothing was updated")));
  EXPECT_EQ(metrics_of(file("burst")).size(), 1U);
  EXPECT_TRUE(fs::exists(file("burst/checkpoints/step-000001/manifest.json")));
  EXPECT_FALSE(fs::exists(file("burst/adapter_config.json")));
  all.insert(all.end(), {"--resume", "--skip-bad-steps", "3"});
  const CommandResult skipped = run_command(all);
  EXPECT_EQ(skipped.exit_code, 1);
  EXPECT_THAT(skipped.err,
              AllOf(HasSubstr("warning: step 2:"), HasSubstr("warning: step 4:"), HasSubstr("error: step 5")));
  EXPECT_TRUE(metrics_of(file("burst")).back()["skipped"].get<bool>());
}

TEST_F(Train, DoesNotWriteOverAnEarlierRun) {
  ASSERT_EQ(train("taken", {"--steps", "2"}).exit_code, 0);
  expect_refusal(train("taken", {"--steps", "2"}), "the folder already has a run");
  fs::create_directories(file("used"));
  write_file(file("used/thesis.txt"), "years of work");
  expect_refusal(train("used", {"--steps", "2"}), "exists and is not empty");
  EXPECT_EQ(read_file(file("used/thesis.txt")), "years of work");
}

TEST_F(Train, RefusesWhatMakesNoSense) {
  expect_refusal(train("no", {"--stage", "tuen"}), "--stage tuen");
  expect_refusal(train("no", {"--tune", "lore"}), "--tune lore");
  expect_refusal(train("no", {"--steps", "0"}), "--steps: 0 is not a whole number");
  expect_refusal(train("no", {"--steps", "3", "--epochs", "2"}), "--steps and --epochs");
  expect_refusal(train("no", {"--tokens-per-step", "900"}), "--batch and --tokens-per-step");
  expect_refusal(train("no", {"--stage", "pretrain"}), "--layers does not apply to --stage pretrain");
  expect_refusal(train("no", {"--schedule", "cosin"}), "--schedule cosin");
  expect_refusal(train("no", {"--adapter", model()}), "--adapter");
  expect_refusal(train("no", {"--lora-targets", "q_prj"}), "q_prj");
  expect_refusal(train("no", {"--recompute", "some"}), "--recompute some");
  expect_refusal(train("no", {"--tune", "full", "--save-dtype", "int3"}), "--save-dtype int3");
  expect_refusal(train("no", {"--warmup-ratio", "3"}), "--warmup-ratio: 3 is not a number");
  EXPECT_FALSE(fs::exists(file("no")));
}

TEST_F(Train, RefusesMissingPieces) {
  const auto missing = [](const std::string& flag) { return run_command(without(command("no"), {flag})); };
  expect_refusal(missing("--layers"), "no --layers were given");
  expect_refusal(missing("--data"), "no data was given");
  expect_refusal(missing("--model"), "no model was given");
  expect_refusal(missing("--out"), "no --out folder");
  expect_refusal(train("no", {"--layers", "1,4"}), "layer 4 is outside the decoder");
}

TEST_F(Train, RefusesFlagsThatItWouldNotRead) {
  expect_refusal(train("no", {"--eval-samples", "4"}), "--eval-samples needs --eval-data");
  expect_refusal(train("no", {"--freeze-projector", "--vision-tower-lr", "1e-5"}), "--vision-tower-lr needs");
  expect_refusal(run_command(without(command("no", {"--stage", "align"}), {"--layers"})),
                 "--lr does not apply to --stage align");
  EXPECT_FALSE(fs::exists(file("no")));
}

TEST_F(Train, HelpHasAnExample) {
  const CommandResult result = run_command({STRIATE_PROGRAM, "train", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("Example:"), HasSubstr("--layers SPEC"), Not(HasSubstr("TODO"))));
}

TEST_F(Train, ARunOfOneStepLearnsAndSaysThatItsDataAreFew) {
  const CommandResult result = run_command(without(command("single"), {"--batch"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto metrics = metrics_of(file("single"));
  ASSERT_EQ(metrics.size(), 1U);
  EXPECT_GT(metrics[0]["lr"]["adapter"].get<double>(), 0);
  EXPECT_THAT(result.err, HasSubstr("warning: the data set has 30 samples, fewer than one step takes (--batch 128)"));
  EXPECT_THAT(train("several", {"--steps", "2"}).err, Not(HasSubstr("warning")));
}

TEST_F(Train, ARunThatCannotLearnSaysSo) {
  const CommandResult result = train("zero", {"--steps", "1", "--warmup-steps", "1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("warning: every step has learning rate 0, so nothing is learned"));
}

// The same conversations in another form are the same training.
TEST_F(Train, TheFormOfTheDataMakesNoDifference) {
  nlohmann::json samples = nlohmann::json::parse(read_file(data()));
  for (nlohmann::json& sample : samples) {
    for (nlohmann::json& turn : sample["conversations"]) {
      turn = {{"role", turn["from"] == "human" ? "user" : "assistant"}, {"content", turn["value"]}};
    }
    sample["messages"] = sample["conversations"];
    sample.erase("conversations");
    if (sample.contains("image")) sample["images"] = {sample["image"]};
    sample.erase("image");
  }
  write_file(file("messages.json"), samples.dump());
  ASSERT_EQ(train("llava", {"--steps", "4"}).exit_code, 0);
  ASSERT_EQ(train("messages", {"--steps", "4", "--data", file("messages.json")}).exit_code, 0);
  const auto llava = metrics_of(file("llava"));
  const auto messages = metrics_of(file("messages"));
  ASSERT_EQ(llava.size(), messages.size());
  for (std::size_t i = 0; i < llava.size(); ++i) EXPECT_EQ(without_timings(llava[i]), without_timings(messages[i]));
}

TEST_F(Train, ASampleWithoutItsPictureStopsTheRunWithAHint) {
  nlohmann::json samples = nlohmann::json::parse(read_file(data()));
  for (nlohmann::json& sample : samples) {
    if (!sample.contains("image")) continue;
    sample["img"] = sample["image"];
    sample.erase("image");
  }
  write_file(file("blind.json"), samples.dump());
  const CommandResult result = train("blind", {"--steps", "4", "--data", file("blind.json")});
  expect_refusal(result, "no picture, and 1 message with <image>");
  EXPECT_THAT(result.err, HasSubstr("the field \"img\" is not read"));
}

}  // namespace
}  // namespace striate::test
