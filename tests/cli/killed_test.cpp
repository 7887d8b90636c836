// kill -9 at any time: nothing half-written is taken for whole, and the same command afterwards leaves nothing behind.
//
// STRIATE_KILL_TRIALS says how often each command is killed; a few times by default.
#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/cli/train_world.h"

namespace striate::test {
namespace {

using nlohmann::json;

int trials() {
  const char* asked = std::getenv("STRIATE_KILL_TRIALS");
  return asked != nullptr ? std::max(1, std::atoi(asked)) : 3;
}

class Killed : public TrainCommand {
 protected:
  static void SetUpTestSuite() {
    TrainCommand::SetUpTestSuite();
    ASSERT_EQ(run_command(init("big")).exit_code, 0);
  }

  // Large enough that writing it takes a while.
  static std::vector<std::string> init(const std::string& out) {
    const std::string tokenizer = (fs::path(STRIATE_SOURCE) / "demo/tokenizer.model").string();
    return {STRIATE_PROGRAM, "init",    "--arch",  "llama-2-7b", "--layers", "8",
            "--hidden",      "512",     "--heads", "8",          "--mlp",    "1024",
            "--tokenizer",   tokenizer, "--dtype", "fp32",       "--out",    file(out)};
  }

  static double seconds_of(const std::vector<std::string>& arguments) {
    const auto start = std::chrono::steady_clock::now();
    const CommandResult whole = run_command(arguments);
    EXPECT_EQ(whole.exit_code, 0) << whole.err;
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  static void expect_no_leftovers() {
    for (const auto& entry : fs::recursive_directory_iterator(folder_->path())) {
      const std::string name = entry.path().filename().string();
      EXPECT_EQ(name.find("striate-tmp"), std::string::npos) << name;
      EXPECT_NE(name, ".striate.lock");
    }
  }

  // Kills a command that makes `out` at times spread over its length; `whole` checks a result that is there.
  static void kill_and_repeat(const std::vector<std::string>& arguments, const std::string& out,
                              const std::function<void()>& whole) {
    const double length = seconds_of(arguments);
    whole();
    for (int trial = 0; trial < trials(); ++trial) {
      fs::remove_all(out);
      {
        Background running(arguments);
        std::this_thread::sleep_for(std::chrono::duration<double>(length * (trial + 0.5) / trials()));
        running.send(SIGKILL);
        running.wait();
      }
      if (!fs::exists(out)) {
        const CommandResult again = run_command(arguments);
        EXPECT_EQ(again.exit_code, 0) << again.err;
      }
      whole();
      expect_no_leftovers();
    }
  }

  static void expect_opens(const std::string& model) {
    const CommandResult result = run_command({STRIATE_PROGRAM, "inspect", "--model", model, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
};

TEST_F(Killed, AnInitThatIsRepeatedLeavesAWholeModelAndNothingElse) {
  kill_and_repeat(init("made"), file("made"), [] { expect_opens(file("made")); });
}

TEST_F(Killed, AnExportThatIsRepeatedLeavesAWholeModelAndNothingElse) {
  kill_and_repeat({STRIATE_PROGRAM, "export", "--model", file("big"), "--no-verify", "--out", file("exported")},
                  file("exported"), [] { expect_opens(file("exported")); });
}

TEST_F(Killed, APruningThatIsRepeatedLeavesAWholeModelAndNothingElse) {
  kill_and_repeat({STRIATE_PROGRAM, "prune", "--model", file("big"), "--region", "none", "--layers", "3", "--no-verify",
                   "--out", file("pruned")},
                  file("pruned"), [] { expect_opens(file("pruned")); });
}

TEST_F(Killed, AScoringThatIsRepeatedLeavesWholeScoresAndNothingElse) {
  kill_and_repeat({STRIATE_PROGRAM, "score", "--model", model(), "--data", data(), "--images", file("images"), "--out",
                   file("scores.json"), "--threads", "1"},
                  file("scores.json"), [] { EXPECT_EQ(json::parse(read_file(file("scores.json")))["layers"], 4); });
}

TEST_F(Killed, ATrainingThatIsResumedIsByteForByteTheUnbrokenOne) {
  const std::vector<std::string> more = {"--steps", "24", "--save-every", "3"};
  const double length = seconds_of(command("unbroken", more));
  std::vector<std::string> resumed = command("broken", more);
  resumed.push_back("--resume");
  for (int trial = 0; trial < trials(); ++trial) {
    Background running(trial == 0 ? command("broken", more) : resumed);
    std::this_thread::sleep_for(std::chrono::duration<double>(length * (trial % 3 + 1) / 4));
    running.send(SIGKILL);
    running.wait();
  }
  const CommandResult last = run_command(resumed);
  ASSERT_EQ(last.exit_code, 0) << last.err;
  expect_same_run("unbroken", "broken", "step-000024");
  expect_no_leftovers();
}

}  // namespace
}  // namespace striate::test
