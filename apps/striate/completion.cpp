// striate completion: prints what makes a shell complete the program's commands and flags.
#include "apps/striate/completion.h"

#include <algorithm>
#include <iostream>
#include <map>

#include "apps/striate/command.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

// As one word of a shell.
std::string quoted(const std::string& text) {
  return cat("'", join(split(text, '\''), "'\\''"), "'");
}

// The flags that may follow a command: its own, and those that every command takes.
std::vector<FlagEntry> flags_of(const CommandEntry& program, const CommandEntry& command) {
  std::vector<FlagEntry> flags = command.flags;
  if (&command == &program) return flags;
  for (const FlagEntry& flag : program.flags) {
    const bool here = std::ranges::any_of(flags, [&](const FlagEntry& own) { return own.names == flag.names; });
    if (!here && flag.names != std::vector<std::string>{"--version"}) flags.push_back(flag);
  }
  return flags;
}

bool takes_file(const FlagEntry& flag) {
  return flag.value == "FILE" || flag.value == "PATH";
}

// What bash runs to fill `found` with the values of a flag.
std::string bash_values(const FlagEntry& flag) {
  if (!flag.choices.empty()) return cat("found=$(compgen -W ", quoted(join(flag.choices, " ")), " -- \"$word\")");
  if (takes_file(flag)) return "files=1 found=$(compgen -f -- \"$word\")";
  if (flag.value == "DIR") return "files=1 found=$(compgen -d -- \"$word\")";
  return "return";
}

constexpr const char* kBashBegin = R"(# Completion of striate for bash, as `striate completion bash` prints it.
_striate() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=striate found='' files='' i
  if [ "$word" = = ]; then
    word=''  # --flag=
  elif [ "$previous" = = ]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}  # --flag=VALUE
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$command ${COMP_WORDS[i]}" in
      )";

constexpr const char* kBashValues = R"() command+=" ${COMP_WORDS[i]}" ;;
    esac
  done
  case "$command $previous" in
)";

constexpr const char* kBashMiddle = R"(    *)
      case "$command" in
)";

constexpr const char* kBashEnd = R"(      esac
      ;;
  esac
  mapfile -t COMPREPLY < <([ -z "$found" ] || printf '%s\n' "$found")
  [ -z "$files" ] || compopt -o filenames 2>/dev/null
}
complete -F _striate striate
)";

// "[text]" and "text" of zsh's _arguments, whose brackets and colons have a meaning.
std::string zsh_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string zsh_values(const FlagEntry& flag) {
  if (flag.value.empty()) return "";
  std::string action;
  if (!flag.choices.empty()) action = cat("(", join(flag.choices, " "), ")");
  if (takes_file(flag)) action = "_files";
  if (flag.value == "DIR") action = "_files -/";
  return cat(":", zsh_text(flag.value), ":", action);
}

std::string zsh_function(const std::string& command) {
  return "_" + join(split(command, ' '), "_");
}

std::string zsh_flags(const std::vector<FlagEntry>& flags) {
  std::string lines;
  for (const FlagEntry& flag : flags) {
    for (const std::string& name : flag.names) {
      lines += cat(" \\\n    ", quoted(cat(flag.repeated ? "*" : "", name, flag.value.empty() ? "" : "=", "[",
                                           zsh_text(flag.description), "]", zsh_values(flag))));
    }
  }
  return lines;
}

// A command that has commands: the first word names one, which completes the rest.
std::string zsh_choice(const CommandEntry& command) {
  std::string lines =
      " \\\n    '1:command:->command' '*::argument:->argument'\n  case $state in\n    command)\n"
      "      commands=(\n";
  for (const CommandEntry& sub : command.commands) {
    lines += cat("        ", quoted(cat(sub.word(), ":", zsh_text(sub.description))), "\n");
  }
  lines += "      )\n      _describe command commands\n      ;;\n    argument)\n      case $line[1] in\n";
  for (const CommandEntry& sub : command.commands) {
    lines += cat("        ", sub.word(), ") ", zsh_function(sub.name), " ;;\n");
  }
  return lines + "      esac\n      ;;\n  esac\n";
}

void print_completion(const CLI::App& program, std::string (*of)(const CommandEntry&)) {
  std::cout << of(command_tree(program)) << std::flush;
}

}  // namespace

std::string bash_completion(const CommandEntry& program) {
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::string>> flags_by_values;
  std::string offers;
  for (const CommandEntry* command : all_commands(program)) {
    if (command != &program) names.push_back(quoted(command->name));
    std::vector<std::string> words;
    for (const CommandEntry& sub : command->commands) words.push_back(sub.word());
    for (const FlagEntry& flag : flags_of(program, *command)) {
      for (const std::string& name : flag.names) {
        words.push_back(name);
        if (flag.value.empty()) continue;
        flags_by_values[bash_values(flag)].push_back(quoted(cat(command->name, " ", name)));
      }
    }
    offers += cat("        ", quoted(command->name), ") found=$(compgen -W ", quoted(join(words, " ")),
                  " -- \"$word\") ;;\n");
  }
  std::string script = cat(kBashBegin, join(names, " | "), kBashValues);
  for (const auto& [values, flags] : flags_by_values) script += cat("    ", join(flags, " | "), ") ", values, " ;;\n");
  return cat(script, kBashMiddle, offers, kBashEnd);
}

std::string zsh_completion(const CommandEntry& program) {
  std::string script = "#compdef striate\n# Completion of striate for zsh, as `striate completion zsh` prints it.\n";
  for (const CommandEntry* command : all_commands(program)) {
    const bool chooses = !command->commands.empty();
    script += cat("\n", zsh_function(command->name), "() {\n");
    if (chooses) script += "  local curcontext=$curcontext state line\n  local -a commands\n";
    script += cat("  _arguments", chooses ? " -C" : "", zsh_flags(flags_of(program, *command)));
    script += chooses ? zsh_choice(*command) : "\n";
    script += "}\n";
  }
  return script + "\n_striate \"$@\"\n";
}

void add_completion(CLI::App& app, Invocation& run) {
  CLI::App* command = app.add_subcommand("completion", "Print a script that makes a shell complete commands and flags");
  command->require_subcommand(1);
  command->footer(example("striate completion bash > ~/.local/share/bash-completion/completions/striate"));
  CLI::App* bash = command->add_subcommand("bash", "Print a script for bash to source");
  bash->footer(example("striate completion bash > ~/.local/share/bash-completion/completions/striate"));
  bash->callback([&app, &run] { run.action = [&app] { print_completion(app, bash_completion); }; });
  CLI::App* zsh = command->add_subcommand("zsh", "Print a function for a folder of zsh's fpath");
  zsh->footer(example("striate completion zsh > ~/.zfunc/_striate"));
  zsh->callback([&app, &run] { run.action = [&app] { print_completion(app, zsh_completion); }; });
}

}  // namespace striate::app
