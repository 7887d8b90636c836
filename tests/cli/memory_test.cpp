// Commands that run out of memory: under every limit on address space they work, or end with one line in our words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/train_world.h"

namespace striate::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;  // reserves terabytes of addresses
#else
constexpr bool kSanitized = false;
#endif

class OutOfMemory : public TrainCommand {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "AddressSanitizer needs more addresses than any limit leaves";
  }
  static CommandResult limited(std::int64_t kilobytes, std::vector<std::string> arguments) {
    std::vector<std::string> all = {"/bin/sh", "-c", "ulimit -v \"$0\" && exec \"$@\"", std::to_string(kilobytes)};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_command(all);
  }
  // From a limit under which nothing starts to one under which the command works; how often it ran out of memory in
  // our words.
  static int climb(const std::vector<std::string>& arguments, const std::string& hint) {
    constexpr std::int64_t kMost = 8'000'000;
    std::int64_t kilobytes = 400'000;
    const auto more = [&kilobytes] { kilobytes = kilobytes * 23 / 20; };
    // Nothing of ours runs before LibTorch has set itself up.
    while (kilobytes < kMost && limited(kilobytes, {STRIATE_PROGRAM, "--version"}).exit_code != 0) more();
    int ran_out = 0;
    for (; kilobytes < kMost; more()) {
      const CommandResult result = limited(kilobytes, arguments);
      if (result.exit_code == 0) return ran_out;
      EXPECT_EQ(result.exit_code, 1) << kilobytes << " kB: " << result.err;
      EXPECT_THAT(result.err, ContainsRegex("(^|\n)error: [^\n]*\nhint: [^\n]*\n$")) << kilobytes << " kB";
      EXPECT_THAT(result.err, Not(ContainsRegex("internal:|bug in striate|enforce fail|std::|frame #|terminate")))
          << kilobytes << " kB";
      if (result.err.find("error: out of memory") == std::string::npos) continue;
      ++ran_out;
      EXPECT_THAT(result.err, HasSubstr(hint));
    }
    ADD_FAILURE() << "the command never worked";
    return ran_out;
  }
};

TEST_F(OutOfMemory, TrainingSaysWhatWasAskedForAndWhichFlagsHelp) {
  const CommandResult made =
      run_command({STRIATE_PROGRAM, "init", "--arch", "llama-2-7b", "--layers", "1", "--hidden", "64", "--heads", "2",
                   "--vocab", "300000", "--tokenizer", (fs::path(STRIATE_SOURCE) / "demo/tokenizer.model").string(),
                   "--dtype", "bf16", "--out", file("wide")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  write_file(file("text.json"),
             R"([{"id": "a", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}])");
  // Each time anew: --out must not exist.
  const std::vector<std::string> train = {"/bin/sh",
                                          "-c",
                                          "rm -rf \"$0\"; exec \"$@\" --out \"$0\"",
                                          file("out"),
                                          STRIATE_PROGRAM,
                                          "train",
                                          "--model",
                                          file("wide"),
                                          "--data",
                                          file("text.json"),
                                          "--stage",
                                          "pretrain",
                                          "--steps",
                                          "1",
                                          "--batch",
                                          "1",
                                          "--threads",
                                          "1",
                                          "--precision",
                                          "fp32"};
  EXPECT_GE(climb(train, "--recompute layer"), 1);
}

TEST_F(OutOfMemory, OtherCommandsSaySoToo) {
  climb({STRIATE_PROGRAM, "inspect", "--model", model()}, "");
  climb({STRIATE_PROGRAM, "chat", "--model", model(), "--threads", "1", "--max-tokens", "2", "--prompt", "hello"},
        "--context");
}

}  // namespace
}  // namespace striate::test
