// Completions and man pages, which the program makes from its own flags.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

CommandResult striate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), STRIATE_PROGRAM);
  return run_command(arguments);
}

bool has_program(const std::string& name) {
  return run_command({"/bin/sh", "-c", "command -v " + name}).exit_code == 0;
}

std::vector<std::string> lines_of(const std::string& text) {
  const std::string_view lines = trim(text);
  return lines.empty() ? std::vector<std::string>{} : split(lines, '\n');
}

// What bash offers for the last of the words, as readline hands them over: `=` is a word of its own.
std::vector<std::string> bash_offers(const std::vector<std::string>& words, const std::string& folder = "/") {
  const TemporaryFolder scratch;
  static const std::string script = striate({"completion", "bash"}).out;
  write_file(scratch.path() / "striate.bash", script);
  std::vector<std::string> arguments = {
      "/bin/bash", "--norc", "-c",
      cat(". ", (scratch.path() / "striate.bash").string(), " && cd ", folder,
          " && COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) && _striate; printf '%s\\n' \"${COMPREPLY[@]}\""),
      "bash"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  const CommandResult result = run_command(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  return lines_of(result.out);
}

TEST(BashCompletion, OffersTheCommands) {
  EXPECT_THAT(bash_offers({"striate", "re"}), UnorderedElementsAre("region", "revert"));
  EXPECT_THAT(bash_offers({"striate", ""}), AllOf(Contains("train"), Contains("chat"), Contains("--help")));
  EXPECT_THAT(bash_offers({"striate", ""}), Not(Contains("manual")));
}

TEST(BashCompletion, OffersTheCommandsOfACommand) {
  EXPECT_THAT(bash_offers({"striate", "data", "c"}), ElementsAre("check"));
  EXPECT_THAT(bash_offers({"striate", "--debug", "mini", "r"}), ElementsAre("render"));
}

TEST(BashCompletion, OffersTheFlagsOfTheCommandThatWasTyped) {
  EXPECT_THAT(bash_offers({"striate", "train", "--warmup"}), UnorderedElementsAre("--warmup-ratio", "--warmup-steps"));
  EXPECT_THAT(bash_offers({"striate", "chat", "--warmup"}), IsEmpty());
  EXPECT_THAT(bash_offers({"striate", "data", "check", "--li"}), ElementsAre("--list"));
}

TEST(BashCompletion, OffersTheValuesThatAFlagAllows) {
  EXPECT_THAT(bash_offers({"striate", "chat", "--device", ""}), UnorderedElementsAre("auto", "cpu", "cuda"));
  EXPECT_THAT(bash_offers({"striate", "chat", "--device", "=", "cu"}), ElementsAre("cuda"));
  EXPECT_THAT(bash_offers({"striate", "chat", "--device", "="}), UnorderedElementsAre("auto", "cpu", "cuda"));
}

TEST(BashCompletion, OffersFilesAndFoldersAsAFlagTakesThem) {
  const TemporaryFolder scratch;
  write_file(scratch.path() / "a picture.jpg", "");
  std::filesystem::create_directory(scratch.path() / "a folder");
  const std::string folder = scratch.path().string();
  EXPECT_THAT(bash_offers({"striate", "chat", "--image", "a"}, folder),
              UnorderedElementsAre("a picture.jpg", "a folder"));
  EXPECT_THAT(bash_offers({"striate", "chat", "--model", "a"}, folder), ElementsAre("a folder"));
  EXPECT_THAT(bash_offers({"striate", "chat", "--prompt", "a"}, folder), IsEmpty());
}

TEST(ZshCompletion, IsAFunctionThatZshReads) {
  const std::string script = striate({"completion", "zsh"}).out;
  EXPECT_THAT(script, AllOf(HasSubstr("#compdef striate\n"), HasSubstr("'--model=["), HasSubstr(":DIR:_files -/'"),
                            HasSubstr("(auto cpu cuda)"), HasSubstr("data) _striate_data ;;")));
  if (!has_program("zsh")) GTEST_SKIP() << "no zsh here: its syntax was not checked";
  const TemporaryFolder scratch;
  write_file(scratch.path() / "_striate", script);
  const CommandResult read = run_command({"/usr/bin/env", "zsh", "-f", "-n", (scratch.path() / "_striate").string()});
  EXPECT_EQ(read.exit_code, 0) << read.err;
  EXPECT_EQ(read.err, "");
}

TEST(ManPages, EveryCommandHasOne) {
  const std::vector<std::string> pages = lines_of(striate({"manual", "--list"}).out);
  EXPECT_THAT(pages, AllOf(Contains("striate"), Contains("striate-train"), Contains("striate-data-check")));
  EXPECT_THAT(pages, Not(Contains("striate-manual")));
}

TEST(ManPages, APageSaysWhatHelpSays) {
  const std::string page = striate({"manual", "--page", "striate-chat"}).out;
  EXPECT_THAT(page, AllOf(HasSubstr("striate\\-chat \\- Ask a model"), HasSubstr("\\fB\\-\\-device\\fR \\fITEXT\\fR\n"),
                          HasSubstr("One of: auto, cpu, cuda.\n"), HasSubstr("Default: auto.\n"),
                          HasSubstr(".SH EXAMPLE\n.EX\n  striate chat \\-\\-model")));
  EXPECT_THAT(striate({"manual", "--page", "striate-data-check"}).out, HasSubstr("Required.\n"));
}

TEST(ManPages, AnUnknownPageIsNamed) {
  const CommandResult result = striate({"manual", "--page", "striate-trian"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "error: --page striate-trian: unknown page\nhint: --list prints the names of all pages\n");
}

TEST(ManPages, RenderWithoutWarnings) {
  if (!has_program("groff")) GTEST_SKIP() << "no groff here: pages were not rendered";
  for (const std::string& name : lines_of(striate({"manual", "--list"}).out)) {
    const std::string page = striate({"manual", "--page", name}).out;
    EXPECT_THAT(page, AllOf(HasSubstr(".SH NAME\n"), HasSubstr(".SH OPTIONS\n"), HasSubstr(".SH EXIT STATUS\n")))
        << name;
    const CommandResult rendered = run_command({"/usr/bin/env", "groff", "-man", "-Tutf8", "-ww", "-rLL=80n"}, page);
    EXPECT_EQ(rendered.exit_code, 0) << name;
    EXPECT_EQ(rendered.err, "") << name;
    EXPECT_TRUE(rendered.out.find("Print this help message") != std::string::npos) << name;
  }
}

}  // namespace
}  // namespace striate::test
