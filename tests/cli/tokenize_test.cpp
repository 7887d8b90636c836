// `striate tokenize` from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using nlohmann::json;
using test::CommandResult;
using testing::HasSubstr;
using testing::StartsWith;

std::string tokenizer(const std::string& name) {
  return test::testdata("tokenizers/" + name).string();
}

CommandResult tokenize(const std::string& name, const std::string& input, const std::vector<std::string>& flags = {}) {
  std::vector<std::string> arguments = {STRIATE_PROGRAM, "tokenize", "--tokenizer", tokenizer(name)};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return test::run_command(arguments, input);
}

std::vector<json> lines_of(const std::string& out) {
  std::vector<json> lines;
  for (std::size_t at = 0; at < out.size();) {
    const std::size_t end = out.find('\n', at);
    lines.push_back(json::parse(out.substr(at, end - at)));
    at = end + 1;
  }
  return lines;
}

TEST(TokenizeCommand, AnswersEveryLineInOrder) {
  const CommandResult result =
      tokenize("llama2_style/tokenizer.model", "{\"text\": \"Hello world\"}\n{\"text\": \"a</s>b\"}");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out,
            "{\"ids\": [410, 491], \"text\": \"Hello world\"}\n{\"ids\": [259, 2, 862], \"text\": \"a</s>b\"}\n");
}

TEST(TokenizeCommand, BosLegacyAndJsonDoWhatTheySay) {
  const std::string input = "{\"text\": \"a</s>b\"}\n";
  const auto ids = [&](const std::string& name, const std::vector<std::string>& flags) {
    return lines_of(tokenize(name, input, flags).out).at(0).at("ids").get<std::vector<int>>();
  };
  EXPECT_EQ(ids("llama2_style/tokenizer.model", {"--bos"}), (std::vector<int>{1, 259, 2, 862}));
  EXPECT_EQ(ids("llama2_style/tokenizer.model", {"--legacy"}), (std::vector<int>{259, 2, 296}));
  EXPECT_EQ(ids("llama2_style/tokenizer.model", {"--json"}), (std::vector<int>{259, 2, 862}));
  EXPECT_EQ(ids("llama3_style", {"--bos"}).front(), 1024);
  EXPECT_EQ(ids("phi3/tokenizer.json", {"--bos"}), ids("phi3/tokenizer.json", {}));
}

TEST(TokenizeCommand, GivesTheSameIdsForFoldersAndForFiles) {
  const std::string input = "{\"text\": \"<|eot_id|>It's 12345 \\u2028 caf\\u00e9 \\ud83d\\ude42\"}\n";
  const std::string wanted = tokenize("llama3_style", input).out;
  EXPECT_EQ(tokenize("llama3_style/tokenizer.json.gz", input).out, wanted);
  EXPECT_EQ(lines_of(wanted).at(0).at("text"), json::parse(input).at("text"));
}

TEST(TokenizeCommand, ReadsLlamaThreesRanksAsItsTokenizerJson) {
  STRIATE_REQUIRE_LLAMA("llama3/tokenizer.model");
  const std::string input = "{\"text\": \"<|eot_id|>It's 12345 \\u2028 caf\\u00e9 \\ud83d\\ude42\"}\n";
  EXPECT_EQ(tokenize("llama3/tokenizer.model", input).out, tokenize("llama3/tokenizer.json.gz", input).out);
}

TEST(TokenizeCommand, AHundredThousandLinesKeepTheirOrder) {
  std::string input;
  for (int i = 0; i < 100'000; ++i) input += "{\"text\": \"line " + std::to_string(i) + "\"}\n";
  const CommandResult result = tokenize("phi2", input);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<json> lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 100'000u);
  for (std::size_t i = 0; i < lines.size(); i += 997) EXPECT_EQ(lines[i].at("text"), "line " + std::to_string(i));
}

// A program that waits for an answer before it sends the next line gets one.
TEST(TokenizeCommand, AnswersALineBeforeTheNextArrives) {
  int to_child[2];
  int from_child[2];
  ASSERT_EQ(::pipe(to_child), 0);
  ASSERT_EQ(::pipe(from_child), 0);
  const std::string path = tokenizer("phi2");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::dup2(to_child[0], STDIN_FILENO);
    ::dup2(from_child[1], STDOUT_FILENO);
    for (const int fd : {to_child[0], to_child[1], from_child[0], from_child[1]}) ::close(fd);
    ::execl(STRIATE_PROGRAM, STRIATE_PROGRAM, "tokenize", "--tokenizer", path.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(to_child[0]);
  ::close(from_child[1]);
  for (const std::string text : {"one", "two", "three"}) {
    const std::string line = "{\"text\": \"" + text + "\"}\n";
    ASSERT_EQ(::write(to_child[1], line.data(), line.size()), static_cast<ssize_t>(line.size()));
    std::string answer;
    char c = 0;
    while (::read(from_child[0], &c, 1) == 1 && c != '\n') answer += c;
    EXPECT_EQ(json::parse(answer).at("text"), text);
  }
  ::close(to_child[1]);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(from_child[0]);
  EXPECT_EQ(status, 0);
}

TEST(TokenizeCommand, ABadLineIsNamedAfterTheAnswersBeforeIt) {
  for (const std::string bad : {"not json", "[1]", "{\"txt\": \"x\"}", "{\"text\": 3}", "", "{\"text\": \"\xFF\"}",
                                "{\"text\": \"\\ud800\"}", "{\"text\": \"a\"} x"}) {
    SCOPED_TRACE(bad);
    const CommandResult result =
        tokenize("phi2", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n" + bad + "\n{\"text\": \"c\"}\n");
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(lines_of(result.out).size(), 2u);
    EXPECT_THAT(result.err, StartsWith("error: standard input, line 3: "));
    EXPECT_THAT(result.err, HasSubstr("\nhint: "));
  }
}

TEST(TokenizeCommand, WrongTokenizersAndFlagsAreRefused) {
  const auto refused = [](const std::vector<std::string>& arguments, const std::string& says) {
    std::vector<std::string> command = {STRIATE_PROGRAM, "tokenize"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const CommandResult result = test::run_command(command, "{\"text\": \"a\"}\n");
    EXPECT_EQ(result.exit_code, 2) << says;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("error: "));
    EXPECT_THAT(result.err, HasSubstr(says));
    EXPECT_THAT(result.err, HasSubstr("\nhint: "));
  };
  const test::TemporaryFolder empty;
  refused({}, "--tokenizer");
  refused({"--tokenizer", (empty.path() / "none").string()}, "no such file or folder");
  refused({"--tokenizer", empty.path().string()}, "no tokenizer.json and no tokenizer.model");
  refused({"--tokenizer", (test::sources() / "README.md").string()}, "neither a tokenizer.json");
  refused({"--tokenizer", tokenizer("phi2"), "--legacy"}, "--legacy");
}

TEST(TokenizeCommand, NothingInNothingOut) {
  const CommandResult result = tokenize("llama2_style/tokenizer.model", "");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out + result.err, "");
}

}  // namespace
}  // namespace striate
