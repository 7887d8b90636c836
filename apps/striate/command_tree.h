// The commands and flags of the program as plain values, from which completions and man pages are made.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace striate::app {

struct FlagEntry {
  std::vector<std::string> names;    // "--model"; a short name first ("-h", "--help")
  std::string value;                 // what it takes ("DIR", "TEXT"); empty: nothing
  std::vector<std::string> choices;  // the values that are allowed, where they are few
  std::string description;
  std::string standard;  // the value it has when it is not given; empty: none is shown
  std::string group;     // the heading it stands under in --help
  bool required = false;
  bool repeated = false;  // may be given several times
};

struct CommandEntry {
  std::string name;  // "striate data check"
  std::string description;
  std::string footer;  // the example
  std::vector<FlagEntry> flags;
  std::vector<CommandEntry> commands;  // those of its commands that --help shows

  // "check", the last word of the name.
  std::string word() const;
};

// What `app` and its commands offer, in the order of --help.
CommandEntry command_tree(const CLI::App& app);

// The command and all below it, each before those below it.
std::vector<const CommandEntry*> all_commands(const CommandEntry& root);

}  // namespace striate::app
