#include "apps/striate/command_line.h"

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "striate/base/strings.h"

namespace striate::app {
namespace {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

// "striate data check".
std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : full_name(*parent) + " " + command.get_name();
}

// The command that the arguments name, as far as they name one, and the word that names none of its commands.
struct Chosen {
  const CLI::App* command;
  std::string unknown;
};

Chosen chosen_command(const CLI::App& app, int argc, char** argv) {
  Chosen chosen{&app, {}};
  // The flags of commands that have commands take no values: a word that is no flag names the next command.
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const std::vector<std::string> names = command_names(*chosen.command);
    if (names.empty()) break;
    if (word.starts_with('-')) continue;
    if (std::ranges::find(names, word) == names.end()) {
      chosen.unknown = word;
      break;
    }
    chosen.command = chosen.command->get_subcommand(word);
  }
  return chosen;
}

std::string help_hint(const CLI::App& command) {
  return cat("see '", full_name(command), " --help'");
}

Error unknown_command_error(const CLI::App& command, const std::string& word) {
  const std::string nearest = nearest_name(word, command_names(command));
  const std::string name = full_name(command);
  return invalid_input(cat("'", word, "' is not a command of ", name),
                       nearest.empty() ? help_hint(command) : cat("did you mean '", name, " ", nearest, "'?"));
}

// The arguments that no option took, in the order they were typed.
std::vector<std::string> left_over(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> rest = app.remaining(true);
  std::vector<std::string> ordered;
  for (int i = 1; i < argc; ++i) {
    const auto found = std::ranges::find(rest, argv[i]);
    if (found == rest.end()) continue;
    ordered.push_back(*found);
    rest.erase(found);
  }
  return ordered;
}

std::vector<std::string> unknown_flags(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> flags;
  for (const std::string& argument : left_over(app, argc, argv)) {
    if (argument.starts_with('-') && argument.size() > 1) flags.push_back(argument.substr(0, argument.find('=')));
  }
  return flags;
}

std::vector<std::string> flag_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back(name);
    }
  }
  return names;
}

std::string bare(const std::string& flag) {
  return flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
}

Error unknown_flags_error(const CLI::App& command, const std::vector<std::string>& flags) {
  std::vector<std::string> nearest;
  for (const std::string& flag : flags) {
    const std::string near = nearest_name(bare(flag), flag_names(command));
    if (!near.empty()) nearest.push_back("--" + near);
  }
  const std::string what = flags.size() == 1 ? " is not a flag of '" : " are not flags of '";
  const std::string hint =
      nearest.empty() ? help_hint(command) : cat("did you mean ", join(nearest, ", "), "? ", help_hint(command));
  return invalid_input(cat(join(flags, ", "), what, full_name(command), "'"), hint);
}

}  // namespace

bool answered_with_help(const CLI::App& app, int argc, char** argv) {
  const Chosen chosen = chosen_command(app, argc, argv);
  if (command_names(*chosen.command).empty() || !left_over(app, argc, argv).empty()) return false;
  std::cout << chosen.command->help();
  return true;
}

void require_known_command(const CLI::App& app, int argc, char** argv) {
  const Chosen chosen = chosen_command(app, argc, argv);
  if (!chosen.unknown.empty()) throw unknown_command_error(*chosen.command, chosen.unknown);
}

std::string help_of(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  for (const std::string& word : words) {
    const std::vector<std::string> names = command_names(*command);
    if (std::ranges::find(names, word) == names.end()) throw unknown_command_error(*command, word);
    command = command->get_subcommand(word);
  }
  // Not App::help(), which answers for the command that was parsed.
  return command->get_formatter()->make_help(command, full_name(*command), CLI::AppFormatMode::Normal);
}

Error usage_error(const CLI::App& app, const CLI::ParseError& bad, int argc, char** argv) {
  const CLI::App& command = *chosen_command(app, argc, argv).command;
  const std::vector<std::string> flags = unknown_flags(app, argc, argv);
  if (!flags.empty()) return unknown_flags_error(command, flags);
  const std::vector<std::string> rest = left_over(app, argc, argv);
  if (!rest.empty()) {
    return invalid_input(cat("'", join(rest, "', '"), "': '", full_name(command), "' takes flags only"),
                         help_hint(command));
  }
  const std::string text = bad.what();
  return invalid_input(text.substr(0, text.find('\n')), help_hint(command));
}

}  // namespace striate::app
