// striate train as several processes of one run, as torchrun would start them.
#include <gmock/gmock.h>

#include <chrono>

#include "tests/cli/train_world.h"
#include "tests/support/ports.h"

namespace striate::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class TrainRanks : public TrainCommand {
 protected:
  // One process per rank.
  static std::vector<std::unique_ptr<Background>> start(int ranks, const std::vector<std::string>& arguments) {
    std::vector<std::unique_ptr<Background>> all;
    const std::string port = std::to_string(free_port());
    for (int rank = 0; rank < ranks; ++rank) {
      const std::map<std::string, std::string> environment = {{"RANK", std::to_string(rank)},
                                                              {"WORLD_SIZE", std::to_string(ranks)},
                                                              {"MASTER_ADDR", "127.0.0.1"},
                                                              {"MASTER_PORT", port}};
      all.push_back(std::make_unique<Background>(arguments, environment));
    }
    return all;
  }
  static void run(int ranks, const std::string& out, const std::vector<std::string>& more) {
    for (const auto& process : start(ranks, command(out, more))) {
      const CommandResult result = process->wait();
      ASSERT_EQ(result.exit_code, 0) << result.err;
    }
  }
  static void expect_same_losses(const std::string& a, const std::string& b) {
    const auto first = metrics_of(file(a));
    const auto second = metrics_of(file(b));
    ASSERT_EQ(first.size(), second.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      EXPECT_NEAR(first[i]["loss"].get<double>(), second[i]["loss"].get<double>(), 2e-5) << "step " << i + 1;
      for (const char* key : {"tokens", "targets", "samples", "epoch"}) EXPECT_EQ(first[i][key], second[i][key]);
    }
  }
};

const std::vector<std::string> kTwelve = {"--steps", "12", "--save-every", "6", "--batch", "8"};

TEST_F(TrainRanks, LossesDoNotDependOnTheNumberOfRanks) {
  run(1, "one", kTwelve);
  for (const int ranks : {2, 3}) {
    const std::string out = cat("of", ranks);
    run(ranks, out, kTwelve);
    expect_same_losses("one", out);
    const nlohmann::json record = nlohmann::json::parse(read_file(fs::path(file(out)) / "run.json"));
    EXPECT_EQ(record["hardware"]["ranks"], ranks);
  }
}

TEST_F(TrainRanks, TheScoreOfABenchmarkIsThatOfAllRanksAnswers) {
  const std::vector<std::string> asking = {"--steps",
                                           "1",
                                           "--eval-first",
                                           "--eval-benchmark",
                                           "llava-json",
                                           "--eval-data",
                                           data(),
                                           "--eval-images",
                                           file("images"),
                                           "--eval-samples",
                                           "9"};
  run(1, "asks1", asking);
  run(2, "asks2", asking);
  const std::string alone = read_file(fs::path(file("asks1")) / "eval" / "step-000000.jsonl");
  EXPECT_EQ(std::count(alone.begin(), alone.end(), '\n'), 9);
  EXPECT_EQ(read_file(fs::path(file("asks2")) / "eval" / "step-000000.jsonl"), alone);
  EXPECT_EQ(without_timings(metrics_of(file("asks1"))[0]), without_timings(metrics_of(file("asks2"))[0]));
}

// A teacher's terms are means over the whole step as well.
TEST_F(TrainRanks, HealingDoesNotDependOnTheNumberOfRanks) {
  const CommandResult pruned = run_command({STRIATE_PROGRAM, "prune", "--model", model(), "--region", "none",
                                            "--layers", "2", "--threads", "1", "--out", file("pruned")});
  ASSERT_EQ(pruned.exit_code, 0) << pruned.err;
  for (const int ranks : {1, 2}) {
    std::vector<std::string> all =
        command(cat("healed", ranks),
                {"--model", file("pruned"), "--layers", "1-2", "--steps", "6", "--batch", "8", "--teacher", model()});
    all[1] = "heal";
    for (const auto& process : start(ranks, all)) {
      const CommandResult result = process->wait();
      ASSERT_EQ(result.exit_code, 0) << result.err;
    }
  }
  expect_same_losses("healed1", "healed2");
  const auto one = metrics_of(file("healed1"));
  const auto two = metrics_of(file("healed2"));
  for (std::size_t i = 0; i < one.size(); ++i) {
    for (const char* term : {"ce", "hidden", "kl"}) {
      EXPECT_NEAR(one[i][term].get<double>(), two[i][term].get<double>(), 2e-5) << term;
    }
  }
}

TEST_F(TrainRanks, ARunIsResumedOnAnotherNumberOfRanks) {
  run(1, "through", kTwelve);
  fs::copy(file("through"), file("half"), fs::copy_options::recursive);
  fs::remove_all(file("half/checkpoints/step-000012"));
  auto flags = kTwelve;
  flags.emplace_back("--resume");
  run(2, "half", flags);
  expect_same_losses("through", "half");
  // It is finished now.
  const std::string record = read_file(file("half/run.json"));
  run(2, "half", flags);
  EXPECT_EQ(read_file(file("half/run.json")), record);
}

TEST_F(TrainRanks, AShardedOptimizerIsThatOfOneProcessInParts) {
  auto wide = kTwelve;
  wide.insert(wide.end(), {"--lora-r", "192"});
  auto sharded = wide;
  sharded.emplace_back("--shard-optimizer");
  run(1, "unsharded1", wide);
  for (const int ranks : {2, 3}) {
    const std::string whole = cat("unsharded", ranks), parts = cat("sharded", ranks);
    run(ranks, whole, wide);
    run(ranks, parts, sharded);
    for (const char* name : {"adapter_model.safetensors", "checkpoints/step-000012/optimizer.safetensors"}) {
      EXPECT_EQ(read_file(fs::path(file(whole)) / name), read_file(fs::path(file(parts)) / name)) << ranks << name;
    }
    expect_same_losses("unsharded1", parts);
  }
  // A run of three parts goes on as one of two, and as one process.
  fs::remove_all(file("sharded3/checkpoints/step-000012"));
  fs::copy(file("sharded3"), file("merged"), fs::copy_options::recursive);
  sharded.emplace_back("--resume");
  run(2, "sharded3", sharded);
  expect_same_losses("unsharded1", "sharded3");
  wide.emplace_back("--resume");
  run(1, "merged", wide);
  expect_same_losses("unsharded1", "merged");
}

TEST_F(TrainRanks, RanksOfWhichOneShardsAreRefused) {
  const std::string port = std::to_string(free_port());
  std::vector<std::unique_ptr<Background>> processes;
  for (int rank = 0; rank < 2; ++rank) {
    std::vector<std::string> arguments = command("torn", {"--steps", "5"});
    if (rank == 1) arguments.emplace_back("--shard-optimizer");
    processes.push_back(std::make_unique<Background>(
        arguments,
        std::map<std::string, std::string>{
            {"RANK", std::to_string(rank)}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}}));
  }
  for (const auto& process : processes) {
    const CommandResult result = process->wait();
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("error: rank 1 has another plan than rank 0: shard-optimizer is true there and "
                                      "false on rank 0\nhint: "));
  }
}

TEST_F(TrainRanks, AProcessAloneIsToldThatItHasNothingToShare) {
  const CommandResult result = run_command(command("by_itself", {"--steps", "1", "--shard-optimizer"}));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("--shard-optimizer changes nothing"));
}

TEST_F(TrainRanks, EveryoneStopsWhenOneIsAskedTo) {
  auto processes = start(2, command("asked", {"--steps", "5000", "--save-every", "0"}));
  processes[0]->wait_until([&] { return metrics_of(file("asked")).size() >= 3; });
  processes[1]->send(SIGINT);
  for (const auto& process : processes) EXPECT_EQ(process->wait().exit_code, 128 + SIGINT);
  const std::size_t taken = metrics_of(file("asked")).size();
  char name[64];
  std::snprintf(name, sizeof name, "asked/checkpoints/step-%06zu/manifest.json", taken);
  EXPECT_TRUE(fs::exists(file(name))) << name;
}

// Whichever it is: rank 0 keeps the store that the others talk through, and not every rank is a neighbour of rank 2.
TEST_F(TrainRanks, ADeadRankIsNamedByAllOthersInOurWords) {
  for (const std::size_t dead : {0U, 2U}) {
    const std::string out = cat("dead", dead);
    auto processes = start(4, command(out, {"--steps", "5000", "--save-every", "0"}));
    processes[0]->wait_until([&] { return metrics_of(file(out)).size() >= 3; });
    processes[dead]->send(SIGKILL);
    for (std::size_t other = 0; other < 4; ++other) {
      if (other == dead) continue;
      const CommandResult result = processes[other]->wait();
      EXPECT_EQ(result.exit_code, 1);
      EXPECT_THAT(result.err, HasSubstr(cat("error: rank ", dead, " has ended\nhint: ")));
      EXPECT_THAT(result.err, HasSubstr("--resume"));
      EXPECT_THAT(result.err, Not(ContainsRegex("[Gg]loo|pytorch|frame #|c10|Exception")));
    }
  }
}

TEST_F(TrainRanks, LibtorchsOwnTextIsShownWithDebug) {
  auto processes = start(2, command("debug", {"--steps", "5000", "--save-every", "0", "--debug"}));
  processes[0]->wait_until([&] { return metrics_of(file("debug")).size() >= 3; });
  processes[1]->send(SIGKILL);
  const CommandResult result = processes[0]->wait();
  EXPECT_THAT(result.err, HasSubstr("error: rank 1 has ended\nhint: "));
  EXPECT_THAT(result.err, HasSubstr("gloo"));
}

TEST_F(TrainRanks, ARankThatNeverComesIsNamed) {
  const std::string port = std::to_string(free_port());
  const std::map<std::string, std::string> common = {
      {"WORLD_SIZE", "3"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}, {"STRIATE_RANKS_WAIT", "10"}};
  std::vector<std::unique_ptr<Background>> processes;
  for (const char* rank : {"0", "1"}) {
    auto environment = common;
    environment["RANK"] = rank;
    processes.push_back(std::make_unique<Background>(command("alone"), environment));
  }
  for (const auto& process : processes) {
    const CommandResult result = process->wait();
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err,
                HasSubstr(cat("error: 2 of 3 ranks have connected, but not yet rank 2: waited 10 s at 127.0.0.1:", port,
                              "\nhint: ")));
  }
}

TEST_F(TrainRanks, RankZeroSaysWhomItWaitsFor) {
  const std::map<std::string, std::string> environment = {{"RANK", "0"},
                                                          {"WORLD_SIZE", "2"},
                                                          {"MASTER_ADDR", "127.0.0.1"},
                                                          {"MASTER_PORT", std::to_string(free_port())},
                                                          {"STRIATE_RANKS_WAIT", "5"}};
  const CommandResult result = Background(command("waits"), environment).wait();
  EXPECT_THAT(result.err, HasSubstr("rank 0 of 2 waits at 127.0.0.1:"));
  EXPECT_THAT(result.err, HasSubstr("(at most 5 s): 1 of 2 ranks has connected, but not yet rank 1\n"));
}

TEST_F(TrainRanks, AFrozenRankEndsTheOthersWithinAMinute) {
  // Rank 0 keeps the store that the others watch each other through: the harder case.
  auto processes = start(2, command("ice", {"--steps", "500000", "--save-every", "0"}));
  processes[0]->wait_until([&] { return metrics_of(file("ice")).size() >= 3; });
  const auto begin = std::chrono::steady_clock::now();
  processes[0]->send(SIGSTOP);
  const CommandResult result = processes[1]->wait();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("error: rank 0 does not answer"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST_F(TrainRanks, ARankThatFailsTellsTheOthersWhy) {
  const std::string port = std::to_string(free_port());
  std::vector<std::unique_ptr<Background>> processes;
  for (int rank = 0; rank < 2; ++rank) {
    std::vector<std::string> arguments = command("told", {"--steps", "5"});
    if (rank == 1) arguments.insert(arguments.end(), {"--lora-targets", "nonsense"});
    processes.push_back(std::make_unique<Background>(
        arguments,
        std::map<std::string, std::string>{
            {"RANK", std::to_string(rank)}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}}));
  }
  EXPECT_EQ(processes[1]->wait().exit_code, 2);
  const CommandResult first = processes[0]->wait();
  EXPECT_EQ(first.exit_code, 1);
  EXPECT_THAT(first.err, HasSubstr("rank 1 has failed: no linear of the decoder's layers is called nonsense"));
}

// As many bytes under the same name, but other ones: before the first step every rank says which rank differs, and how.
TEST_F(TrainRanks, ARankThatReadsOtherDataIsNamedBeforeTheFirstStep) {
  std::string other = read_file(data());
  const std::size_t at = other.find("What is number");
  ASSERT_NE(at, std::string::npos);
  other[at] = 'w';
  fs::create_directories(file("elsewhere"));
  write_file(file("elsewhere/data.json"), other);
  const std::string port = std::to_string(free_port());
  std::vector<std::unique_ptr<Background>> processes;
  for (int rank = 0; rank < 2; ++rank) {
    std::vector<std::string> arguments = command("differ", {"--steps", "5"});
    if (rank == 1) arguments = command("differ", {"--steps", "5", "--data", file("elsewhere/data.json")});
    processes.push_back(std::make_unique<Background>(
        arguments,
        std::map<std::string, std::string>{
            {"RANK", std::to_string(rank)}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}}));
  }
  for (const auto& process : processes) {
    const CommandResult result = process->wait();
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("error: rank 1 has another plan than rank 0: data is data.json, SHA-256 "));
    EXPECT_THAT(result.err, HasSubstr("hint: "));
  }
  EXPECT_TRUE(metrics_of(file("differ")).empty());
}

}  // namespace
}  // namespace striate::test
