// What every command has in common at the terminal: help, mistakes, safe output, the bar.
#include "tests/support/terminal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

CommandResult striate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), STRIATE_PROGRAM);
  return run_command(arguments);
}

// A command line of the shell, with the program as $0.
CommandResult shell(const std::string& line) {
  return run_command({"/bin/sh", "-c", line, STRIATE_PROGRAM});
}

TEST(CommandLine, WithoutACommandHelpIsTheAnswer) {
  const CommandResult bare = striate({});
  EXPECT_EQ(bare.exit_code, 0);
  EXPECT_THAT(bare.out, AllOf(HasSubstr("Usage: "), HasSubstr("train"), HasSubstr("chat")));
  EXPECT_EQ(bare.err, "");
  const CommandResult data = striate({"data"});
  EXPECT_EQ(data.exit_code, 0);
  EXPECT_THAT(data.out, HasSubstr("check"));
}

TEST(CommandLine, HelpAsACommandPrintsWhatTheFlagPrints) {
  const std::vector<std::vector<std::string>> commands = {{}, {"train"}, {"data"}, {"data", "check"}, {"study", "run"}};
  for (const std::vector<std::string>& words : commands) {
    std::vector<std::string> flag = words, command = {"help"};
    flag.emplace_back("--help");
    command.insert(command.end(), words.begin(), words.end());
    const CommandResult asked = striate(command);
    EXPECT_EQ(asked.exit_code, 0) << asked.err;
    EXPECT_THAT(asked.out, HasSubstr("Usage: "));
    EXPECT_EQ(asked.out, striate(flag).out) << join(command, " ");
  }
  const CommandResult unknown = striate({"help", "data", "chekc"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_EQ(unknown.err, "error: 'chekc' is not a command of striate data\nhint: did you mean 'striate data check'?\n");
  EXPECT_THAT(striate({"--help"}).out, Not(HasSubstr("Print the help of a command"))) << "it is not listed";
}

TEST(CommandLine, AnUnknownCommandIsNamedWithTheNearestOne) {
  const CommandResult result = striate({"trian", "--model", "m"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "error: 'trian' is not a command of striate\nhint: did you mean 'striate train'?\n");
  EXPECT_EQ(striate({"data", "chekc"}).err,
            "error: 'chekc' is not a command of striate data\nhint: did you mean 'striate data check'?\n");
  EXPECT_EQ(striate({"--debug", "xyzzyx"}).err,
            "error: 'xyzzyx' is not a command of striate\nhint: see 'striate --help'\n");
}

TEST(CommandLine, UnknownFlagsAreNamedInOrderEachWithTheNearestOfThatCommand) {
  const CommandResult result = striate({"train", "--modle", "m", "--layesr=all", "--data", "d.json", "--ouy", "o"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "error: --modle, --layesr, --ouy are not flags of 'striate train'\n"
            "hint: did you mean --model, --layers, --out? see 'striate train --help'\n");
  EXPECT_EQ(striate({"init", "--sise", "tiny"}).err,
            "error: --sise is not a flag of 'striate init'\nhint: did you mean --size? see 'striate init --help'\n");
  EXPECT_EQ(striate({"chat", "--zzzzzzzzzzzz"}).err,
            "error: --zzzzzzzzzzzz is not a flag of 'striate chat'\nhint: see 'striate chat --help'\n");
  EXPECT_EQ(striate({"--vresion"}).err,
            "error: --vresion is not a flag of 'striate'\nhint: did you mean --version? see 'striate --help'\n");
}

TEST(CommandLine, AWordThatBelongsNowhereIsShown) {
  const CommandResult result = striate({"inspect", "--model", "m", "stray"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "error: 'stray': 'striate inspect' takes flags only\nhint: see 'striate inspect --help'\n");
}

TEST(CommandLine, VersionTellsWhatAReportOfAProblemNeeds) {
  const CommandResult result = striate({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, StartsWith("striate "));
  for (const char* name : {"\ngit revision   ", "\ncompiler       ", "\nLibTorch       2.", "\nmatrices       ",
                           "\ninstructions   LibTorch ", "\nCUDA           ", "\nGPU"}) {
    EXPECT_THAT(result.out, HasSubstr(name));
  }
}

TEST(CommandLine, VersionNamesTheGpusAndTheirDriver) {
  const CommandResult result = run_command(
      {"/usr/bin/env", "LD_LIBRARY_PATH=" + std::string(STRIATE_GIVEN_DRIVER), STRIATE_PROGRAM, "--version"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nGPU driver     580.65.06 (CUDA 13.0)\n"
                                    "GPU 0          NVIDIA H100 80GB HBM3, 80.0 GB, compute capability 9.0\n"
                                    "GPU 1          NVIDIA T4, 16.0 GB, compute capability 7.5\n"));
}

TEST(Output, AFullDiskBehindStandardOutputIsAnErrorOfEveryCommand) {
  for (const std::string command : {"--help", "--version", "", "train --help", "region --layers-total 8 --layers all",
                                    "region --layers-total 8 --layers all --json"}) {
    const CommandResult result = shell("\"$0\" " + command + " > /dev/full");
    EXPECT_EQ(result.exit_code, 1) << command;
    EXPECT_EQ(result.err,
              "error: standard output: No space left on device\n"
              "hint: free some space, or send the output elsewhere\n")
        << command;
  }
}

TEST(Output, AReaderThatIsGoneEndsTheProgramQuietly) {
  const TemporaryFolder folder;
  // The reading end of descriptor 4 is closed for certain.
  const std::string line = "mkfifo '" + (folder.path() / "pipe").string() + "'; exec 3<>'" +
                           (folder.path() / "pipe").string() + "' 4>'" + (folder.path() / "pipe").string() +
                           "' 3>&-; \"$0\" --help >&4; echo $?; trap '' PIPE; \"$0\" --help >&4; echo $?";
  const CommandResult result = shell(line);
  EXPECT_EQ(result.out, "141\n141\n");  // SIGPIPE, also where it was ignored
  EXPECT_EQ(result.err, "");
}

TEST(Output, AClosedStandardOutputIsAnErrorAndNoFileTakesItsPlace) {
  const TemporaryFolder folder;
  const std::string out = (folder.path() / "m").string();
  const CommandResult result = shell("\"$0\" init --size tiny --out '" + out + "' >&-");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "error: standard output: Bad file descriptor\nhint: check where the output goes\n");
  EXPECT_EQ(striate({"inspect", "--model", out}).exit_code, 0);
}

// A model and data whose names hold what a terminal obeys.
class HostileNames : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(striate({"init", "--size", "tiny", "--out", model()}).exit_code, 0);
    const json sample = {
        {"id", "x" + kHostile},
        {"image", "no" + kHostile + ".png"},
        {"conversations", {{{"from", "human"}, {"value", "<image>\nq"}}, {{"from", "gpt"}, {"value", "a"}}}}};
    write_file(path("data.json"), json({sample, sample}).dump());
  }
  std::string model() const { return (folder_.path() / "m").string(); }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  static void expect_no_controls(const CommandResult& result) {
    for (const std::string& text : {result.out, result.err}) {
      for (const char c : text) {
        ASSERT_TRUE(c == '\n' || c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) << printable(text);
      }
      EXPECT_THAT(text, Not(HasSubstr("\nerror: fake")));
    }
  }

  const std::string kHostile = "\x1b[2J\x07\nerror: fake";
  TemporaryFolder folder_;
};

TEST_F(HostileNames, OfSamplesReachNoTerminal) {
  const std::vector<std::string> check = {
      "data", "check", "--model", model(), "--data", path("data.json").string(), "--images", folder_.path().string()};
  const CommandResult text = striate(check);
  EXPECT_EQ(text.exit_code, 2);
  EXPECT_THAT(text.out, HasSubstr("\\u001b[2J"));
  expect_no_controls(text);
  std::vector<std::string> for_programs = check;
  for_programs.push_back("--json");
  const CommandResult result = striate(for_programs);
  expect_no_controls(result);
  const json report = json::parse(result.out);
  EXPECT_EQ(report["duplicate_ids"].begin().key(), "x" + kHostile);  // escaped, a string is what it was
}

TEST_F(HostileNames, OfTensorsReachNoTerminal) {
  const std::string bytes = read_file(path("m/model.safetensors"));
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  json header = json::parse(bytes.substr(8, size));
  const std::size_t end = bytes.size() - 8 - size;
  header["zz" + kHostile] = {{"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {end, end}}};
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  std::string changed(reinterpret_cast<const char*>(&length), sizeof length);
  write_file(path("m/model.safetensors"), changed + text + bytes.substr(8 + size));
  const CommandResult result = striate({"inspect", "--model", model()});
  expect_no_controls(result);
  expect_no_controls(striate({"inspect", "--model", model(), "--json"}));
}

TEST_F(HostileNames, OfMetricsReachNoTerminal) {
  const json scores = {{"format", "striate-scores"},
                       {"version", 1},
                       {"model", "m" + kHostile},
                       {"layers", 2},
                       {"samples", 1},
                       {"metrics", {{"bi" + kHostile, {{"mean", {1, 2}}}}}}};
  write_file(path("s.json"), scores.dump());
  expect_no_controls(striate({"region", "--layers-total", "2", "--scores", path("s.json").string()}));
}

TEST_F(HostileNames, OnTheCommandLineAreShownEscaped) {
  expect_no_controls(striate({"inspect", "--model", "no" + kHostile}));
  expect_no_controls(striate({"tr" + kHostile}));
  expect_no_controls(striate({"inspect", "--mo" + kHostile}));
}

TEST(Terminal, ARunLeavesWholeLinesOnANarrowTerminal) {
  if (!has_terminals()) GTEST_SKIP() << "this machine gives no terminals (is /dev/pts mounted?)";
  const TemporaryFolder folder;
  const auto path = [&folder](const std::string& name) { return (folder.path() / name).string(); };
  ASSERT_EQ(striate({"init", "--size", "tiny", "--out", path("m")}).exit_code, 0);
  json samples = json::array();
  for (int i = 0; i < 8; ++i) {
    samples.push_back({{"conversations",
                        {{{"from", "human"}, {"value", "What is number " + std::to_string(i) + "?"}},
                         {{"from", "gpt"}, {"value", "One of eight."}}}}});
  }
  write_file(folder.path() / "data.json", samples.dump());
  constexpr std::size_t kColumns = 60;
  const TerminalResult result = run_on_terminal({STRIATE_PROGRAM,
                                                 "train",
                                                 "--model",
                                                 path("m"),
                                                 "--data",
                                                 path("data.json"),
                                                 "--eval-data",
                                                 path("data.json"),
                                                 "--eval-every",
                                                 "20",
                                                 "--eval-max-tokens",
                                                 "8",
                                                 "--layers",
                                                 "0",
                                                 "--lora-r",
                                                 "2",
                                                 "--batch",
                                                 "8",
                                                 "--steps",
                                                 "40",
                                                 "--threads",
                                                 "1",
                                                 "--out",
                                                 path("run")},
                                                kColumns);
  ASSERT_EQ(result.exit_code, 0) << printable(result.written);
  const std::vector<std::string> lines = lines_on_terminal(result.written, kColumns);
  std::vector<std::string> bars, evaluations;
  for (const std::string& line : lines) {
    if (line.starts_with("Training")) bars.push_back(line);
    if (line.starts_with("held out")) evaluations.push_back(line);
    EXPECT_THAT(line, Not(StartsWith("Evaluating"))) << "an evaluation's bar was left standing";
    EXPECT_EQ(line.find("Training", 1), std::string::npos) << line;
  }
  ASSERT_EQ(bars.size(), 1U) << testing::PrintToString(lines);
  EXPECT_THAT(bars[0], HasSubstr("100%"));
  EXPECT_THAT(bars[0], HasSubstr("40 of 40 steps"));
  EXPECT_EQ(evaluations.size(), 2U);
}

}  // namespace
}  // namespace striate::test
