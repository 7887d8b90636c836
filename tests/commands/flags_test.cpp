// Rules about every flag of every command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <string_view>

#include "apps/striate/command_tree.h"
#include "apps/striate/libtorch_messages.h"
#include "apps/striate/program.h"
#include "striate/base/files.h"
#include "striate/base/setting.h"
#include "striate/base/strings.h"
#include "tests/commands/called_command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::HasSubstr;

app::CommandEntry whole_program() {
  app::Invocation run;
  return app::command_tree(*app::make_program(run));
}

bool takes_a_number(const app::FlagEntry& flag) {
  constexpr std::array<std::string_view, 7> kNumbers = {"INT", "UINT", "FLOAT", "N", "X", "L", "TOKENS"};
  return std::find(kNumbers.begin(), kNumbers.end(), flag.value) != kNumbers.end();
}

// A number that is too large for any machine, by what the flag means.
std::string too_large_for(const std::string& flag) {
  if (flag.ends_with("seed")) return "99999999999999999999999999";  // any number may be a seed
  if (flag.ends_with("lr")) return "1e300";                         // a rate may be absurd
  return "9223372036854775807";
}

TEST(Flags, NumbersThatNothingCanServeAreRefusedByName) {
  const app::CommandEntry program = whole_program();
  std::set<std::string> seen;
  for (const app::CommandEntry* command : app::all_commands(program)) {
    std::vector<std::string> words = split(command->name, ' ');
    words.erase(words.begin());  // "striate"
    for (const app::FlagEntry& flag : command->flags) {
      if (!takes_a_number(flag)) continue;
      const std::string& name = flag.names.back();
      seen.insert(command->word() + name);
      for (const std::string& value : {too_large_for(name), std::string("nan")}) {
        SCOPED_TRACE(cat(command->name, " ", name, " ", value));
        std::vector<std::string> arguments = words;
        arguments.insert(arguments.end(), {name, value});
        const Error error = refusal_of(arguments);
        EXPECT_EQ(error.exit_code(), 2);
        EXPECT_THAT(std::string(error.what()), HasSubstr(name));
        EXPECT_FALSE(error.hint().empty());
      }
    }
  }
  EXPECT_THAT(seen, testing::IsSupersetOf({"train--lora-r", "train--steps", "train--lr", "heal--data-threads",
                                           "prune--tokens-per-stream", "check--max-tokens", "render--grid"}));
  EXPECT_GT(seen.size(), 140U);
}

TEST(Flags, WhatACommandIsToldWithoutMemoryAreFlagsOfIts) {
  const app::CommandEntry program = whole_program();
  for (const std::string name : {"train", "heal", "chat", "eval run", "predict", "score", "init"}) {
    std::set<std::string> flags;
    for (const app::CommandEntry* command : app::all_commands(program)) {
      if (command->name != "striate " + name) continue;
      for (const app::FlagEntry& flag : command->flags) flags.insert(flag.names.begin(), flag.names.end());
    }
    int named = 0;
    for (const std::string& word : split(app::memory_hint(split(name, ' ').front()), ' ')) {
      if (!word.starts_with("--")) continue;
      ++named;
      EXPECT_TRUE(flags.contains(word.substr(0, word.find_first_of(",;")))) << word << " of " << name;
    }
    EXPECT_GE(named, 2) << name;
  }
}

// A name that no command has would be shown as a flag that does not exist.
TEST(Flags, EverySettingThatTheLibraryNamesIsOne) {
  std::set<std::string> flags;
  const app::CommandEntry program = whole_program();
  for (const app::CommandEntry* command : app::all_commands(program)) {
    for (const app::FlagEntry& flag : command->flags) flags.insert(flag.names.begin(), flag.names.end());
  }
  std::set<std::string> unknown;
  std::size_t named = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(sources() / "src/striate")) {
    if (entry.path().extension() != ".cpp") continue;
    for (const std::string& line : split(read_file(entry.path()), '\n')) {
      const std::size_t first = line.find('"'), last = line.rfind('"');
      if (first == last) continue;
      with_settings(std::string_view(line).substr(first, last - first), [&](std::string_view name) {
        std::string flag = cat("--", name);
        std::replace(flag.begin(), flag.end(), '_', '-');
        ++named;
        if (!flags.contains(flag)) unknown.insert(cat(entry.path().filename().string(), ": ", flag));
        return std::string();
      });
    }
  }
  EXPECT_GT(named, 100U);
  EXPECT_THAT(unknown, testing::IsEmpty());
}

TEST(Flags, AFileInTheWayIsRefusedWithOverwriteOnlyWhereACommandHasIt) {
  const TemporaryFolder folder;
  const std::string mine = (folder.path() / "mine.txt").string();
  write_file(mine, "mine");
  const Error list = refusal_of({"data", "check", "--model", "m", "--data", "d.json", "--list", mine});
  EXPECT_EQ(std::string(list.what()), cat("--list ", mine, ": exists already"));
  EXPECT_EQ(list.hint(), "give another name, remove the file, or replace it with --overwrite");
  const Error logits = refusal_of({"chat", "--model", "m", "--prompt", "p", "--logits", mine});
  EXPECT_EQ(std::string(logits.what()), mine + ": exists already");
  EXPECT_EQ(logits.hint(), "give another name, or remove the file");
}

}  // namespace
}  // namespace striate::test
