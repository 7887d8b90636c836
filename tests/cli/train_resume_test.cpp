// Runs of striate train that are killed, stopped and resumed, seen from outside.
#include <gmock/gmock.h>

#include "tests/cli/train_world.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TrainResume : public TrainCommand {
 protected:
  static std::vector<std::string> long_run() { return {"--steps", "40", "--save-every", "4"}; }
  static std::vector<std::string> resumed() {
    auto flags = long_run();
    flags.emplace_back("--resume");
    return flags;
  }
  static void make_whole_run() {
    if (fs::exists(file("whole"))) return;
    const CommandResult whole = train("whole", long_run());
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
    ASSERT_EQ(metrics_of(file("whole")).size(), 40U);
  }
};

TEST_F(TrainResume, KilledThriceAndResumedEndsBitIdentical) {
  make_whole_run();
  for (const std::size_t lines : {1U, 10U, 25U}) {
    const bool again = lines > 1;
    Background run(command("killed", again ? resumed() : long_run()));
    run.wait_until([&] { return metrics_of(file("killed")).size() >= lines; });
    ASSERT_FALSE(run.ended()) << run.wait().err;
    run.send(SIGKILL);
    run.wait();
  }
  const CommandResult last = train("killed", resumed());
  ASSERT_EQ(last.exit_code, 0) << last.err;
  EXPECT_THAT(last.err, HasSubstr("resumed     from"));
  expect_same_run("whole", "killed", "step-000040");
}

TEST_F(TrainResume, SigtermFinishesTheStepSavesAndSaysHowToGoOn) {
  make_whole_run();
  Background run(command("stopped", long_run()));
  run.wait_until([&] { return metrics_of(file("stopped")).size() >= 5; });
  run.send(SIGTERM);
  const CommandResult result = run.wait();
  EXPECT_EQ(result.exit_code, 128 + SIGTERM) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("stopped after step "), HasSubstr("--resume")));
  const std::size_t taken = metrics_of(file("stopped")).size();
  EXPECT_THAT(result.out, HasSubstr(cat("stopped after step ", taken, " of 40")));
  EXPECT_FALSE(fs::exists(file("stopped/adapter_config.json")));
  const nlohmann::json record = nlohmann::json::parse(read_file(file("stopped/run.json")));
  EXPECT_FALSE(record["result"]["done"].get<bool>());
  ASSERT_EQ(train("stopped", resumed()).exit_code, 0);
  expect_same_run("whole", "stopped", "step-000040");
}

TEST_F(TrainResume, ADamagedCheckpointIsPassedOver) {
  make_whole_run();
  fs::copy(file("whole"), file("damaged"), fs::copy_options::recursive);
  fs::remove_all(file("damaged/checkpoints/step-000040"));
  ASSERT_TRUE(fs::exists(file("damaged/checkpoints/step-000036")));
  fs::copy(file("damaged/checkpoints/step-000036"), file("damaged/checkpoints/step-000040"));
  const fs::path weights = file("damaged/checkpoints/step-000040/parameters.safetensors");
  fs::resize_file(weights, fs::file_size(weights) - 10);
  const CommandResult result = train("damaged", resumed());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("warning: skipping"), HasSubstr("step-000036")));
  expect_same_run("whole", "damaged", "step-000040");
}

TEST_F(TrainResume, OtherSettingsAreRefusedByName) {
  make_whole_run();
  const auto with = [](const std::string& flag, const std::string& value) {
    std::vector<std::string> flags = resumed();
    const auto at = std::find(flags.begin(), flags.end(), flag);
    if (at != flags.end()) flags.erase(at, at + 2);
    flags.insert(flags.end(), {flag, value});
    return train("whole", flags);
  };
  const std::string before = read_file(file("whole/metrics.jsonl"));
  expect_refusal(with("--lora-r", "8"), "--lora-r: 8 now, 4 in ");
  expect_refusal(with("--layers", "0,3"), "--layers: \"0,3\" now, \"1,3\" in ");
  expect_refusal(with("--seed", "1"), "--seed: 1 now, 234 in ");
  expect_refusal(with("--batch", "8"), "--batch: 8 now, 4 in ");
  expect_refusal(with("--steps", "50"), "--steps: 50 now, 40 in ");
  write_file(file("other.json"), nlohmann::json::parse(read_file(data())).dump(1));
  expect_refusal(with("--data", file("other.json")), "--data: ");
  EXPECT_EQ(read_file(file("whole/metrics.jsonl")), before) << "a refused run left its mark";
}

TEST_F(TrainResume, OtherContentUnderTheSameNameIsRefused) {
  make_whole_run();
  const std::string samples = read_file(data());
  std::string edited = samples;
  edited.replace(edited.find("It is"), 5, "Is it");
  write_file(data(), edited);
  expect_refusal(train("whole", resumed()), "--data: \"data.json, SHA-256 ");
  write_file(data(), samples);
  const fs::path file = fs::path(model()) / "model.safetensors";
  const std::string weights = read_file(file);
  std::string other = weights;
  for (std::size_t i = other.size() / 2; i < other.size(); i += 64) other[i] ^= 1;
  write_file(file, other);
  expect_refusal(train("whole", resumed()), "--model: \"weights ");
  write_file(file, weights);
  EXPECT_EQ(train("whole", resumed()).exit_code, 0);
}

TEST_F(TrainResume, AFolderInWhichARunGoesOnIsRefusedAndTheRunIsNotDisturbed) {
  const std::vector<std::string> flags = {"--steps", "100000", "--save-every", "1", "--schedule", "constant"};
  Background first(command("busy", flags));
  first.wait_until([&] { return metrics_of(file("busy")).size() >= 2; });
  for (const bool resume : {true, false}) {
    auto second = flags;
    if (resume) second.emplace_back("--resume");
    expect_refusal(train("busy", second), "busy: another striate, process ");
  }
  ASSERT_FALSE(first.ended()) << first.wait().err;
  first.send(SIGTERM);
  EXPECT_EQ(first.wait().exit_code, 128 + SIGTERM);
  EXPECT_FALSE(fs::exists(file("busy/.striate.lock")));
}

TEST_F(TrainResume, ARunThatFailedBeforeItsFirstCheckpointGivesUpItsFolder) {
  Background run(command("failed", {"--steps", "1000", "--save-every", "0"}));
  run.wait_until([&] { return metrics_of(file("failed")).size() >= 2; });
  run.send(SIGKILL);
  run.wait();
  ASSERT_TRUE(fs::exists(file("failed/run.json")));
  const CommandResult again = train("failed", {"--steps", "2"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("ended before its first checkpoint"));
  EXPECT_EQ(metrics_of(file("failed")).size(), 2U);
  expect_refusal(train("failed", {"--steps", "2"}), "the folder already has a run");
}

TEST_F(TrainResume, AFolderOfOtherFilesIsNoRun) {
  fs::create_directories(file("mine"));
  write_file(file("mine/thesis.txt"), "years of work");
  expect_refusal(train("mine", {"--steps", "2"}), "exists and is not empty");
  expect_refusal(train("mine", {"--steps", "2", "--resume"}), "exists and is not empty");
  EXPECT_EQ(std::distance(fs::directory_iterator(file("mine")), {}), 1);
}

TEST_F(TrainResume, ACommandThatIsRefusedLeavesNoFolder) {
  expect_refusal(train("refused", {"--layers", "1,99"}), "layer 99 is outside the decoder");
  EXPECT_FALSE(fs::exists(file("refused")));
}

TEST_F(TrainResume, AConstantRateMayGoOnForLonger) {
  const std::vector<std::string> constant = {"--schedule", "constant", "--warmup-ratio", "0", "--save-every", "0"};
  const auto with_steps = [&](const char* steps, bool resume) {
    auto flags = constant;
    flags.insert(flags.end(), {"--steps", steps});
    if (resume) flags.emplace_back("--resume");
    return flags;
  };
  ASSERT_EQ(train("short", with_steps("6", false)).exit_code, 0);
  ASSERT_EQ(train("short", with_steps("10", true)).exit_code, 0);
  ASSERT_EQ(train("long", with_steps("10", false)).exit_code, 0);
  expect_same_run("long", "short", "step-000010");
  expect_refusal(train("short", with_steps("6", true)),
                 "the run has taken 10 steps already, more than the 6 that are asked for");
}

TEST_F(TrainResume, ALongerRunAtAConstantRateKeepsItsWarmUp) {
  const auto with = [](const std::vector<std::string>& more) {
    std::vector<std::string> flags = {"--schedule", "constant", "--save-every", "0"};
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  };
  ASSERT_EQ(train("begun", with({"--warmup-ratio", "0.5", "--steps", "6"})).exit_code, 0);
  const CommandResult longer = train("begun", with({"--warmup-ratio", "0.5", "--steps", "10", "--resume"}));
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  ASSERT_EQ(train("at_once", with({"--warmup-steps", "3", "--steps", "10"})).exit_code, 0);
  const auto first = metrics_of(file("begun"));
  const auto second = metrics_of(file("at_once"));
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(without_timings(first[i]), without_timings(second[i]));
  EXPECT_EQ(train("begun", with({"--warmup-steps", "3", "--steps", "10", "--resume"})).exit_code, 0);
  expect_refusal(train("begun", with({"--warmup-ratio", "0.2", "--steps", "12", "--resume"})),
                 "--warmup-ratio: 0.2 now, 0.5 in ");
  expect_refusal(train("at_once", with({"--steps", "12", "--resume"})), "--warmup-steps: not set now, 3 in ");
}

TEST_F(TrainResume, WithoutACheckpointTheRunBeginsAnew) {
  const CommandResult result = train("fresh", {"--steps", "2", "--resume"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("no checkpoint to resume from"));
  EXPECT_EQ(metrics_of(file("fresh")).size(), 2U);
}

TEST_F(TrainResume, ARunThatIsDoneIsLeftAsItIs) {
  make_whole_run();
  const std::vector<std::string> names = {"whole/adapter_model.safetensors", "whole/striate.json", "whole/run.json",
                                          "whole/metrics.jsonl", "whole/report.html"};
  std::vector<std::string> before;
  for (const std::string& name : names) before.push_back(read_file(file(name)));
  const CommandResult result = train("whole", resumed());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the run is finished after 40 steps"));
  EXPECT_THAT(result.out, HasSubstr("trained 40 steps, 160 samples"));
  auto flags = resumed();
  flags.emplace_back("--json");
  const CommandResult told = train("whole", flags);
  ASSERT_EQ(told.exit_code, 0) << told.err;
  EXPECT_EQ(nlohmann::json::parse(told.out)["loss"], metrics_of(file("whole")).back()["loss"]);
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(read_file(file(names[i])) == before[i]) << names[i];
}

TEST_F(TrainResume, AnEvaluationThatASignalCameBeforeIsMadeUpFor) {
  const std::vector<std::string> flags = {"--steps",      "40", "--save-every",   "0", "--eval-data",       data(),
                                          "--eval-every", "1",  "--eval-samples", "2", "--eval-max-tokens", "1"};
  ASSERT_EQ(train("judged", flags).exit_code, 0);
  ASSERT_EQ(metrics_of(file("judged")).size(), 80U);
  Background run(command("cut", flags));
  run.wait_until([&] { return metrics_of(file("cut")).size() >= 5; });
  run.send(SIGTERM);
  const CommandResult stopped = run.wait();
  ASSERT_EQ(stopped.exit_code, 128 + SIGTERM) << stopped.err;
  EXPECT_FALSE(metrics_of(file("cut")).back().contains("eval_loss")) << "no evaluation is left to make up for";
  auto again = flags;
  again.emplace_back("--resume");
  ASSERT_EQ(train("cut", again).exit_code, 0);
  expect_same_run("judged", "cut", "step-000040");
}

TEST_F(TrainResume, OnlyTheNewestCheckpointsStay) {
  ASSERT_EQ(train("kept", {"--steps", "6", "--save-every", "1", "--keep", "3"}).exit_code, 0);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(file("kept/checkpoints"))) names.push_back(entry.path().filename());
  EXPECT_THAT(names, testing::UnorderedElementsAre("step-000004", "step-000005", "step-000006"));
}

}  // namespace
}  // namespace striate::test
