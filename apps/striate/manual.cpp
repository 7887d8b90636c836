// striate manual: prints man pages. Not listed in --help: the installation runs it.
#include "apps/striate/manual.h"

#include <algorithm>
#include <iostream>
#include <memory>

#include "apps/striate/command.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/version.h"

namespace striate::app {
namespace {

// Text of a page: nothing in it is a command of roff.
std::string roff(const std::string& text) {
  std::string escaped = join(split(join(split(text, '\\'), "\\e"), '-'), "\\-");
  if (escaped.starts_with('.') || escaped.starts_with('\'')) escaped.insert(0, "\\&");
  return escaped;
}

std::string bold(const std::string& text) {
  return cat("\\fB", roff(text), "\\fR");
}

std::string sentence(std::string text) {
  if (!text.empty() && !text.ends_with('.')) text += '.';
  return text;
}

std::string flag_paragraph(const FlagEntry& flag) {
  std::vector<std::string> names;
  for (const std::string& name : flag.names) names.push_back(bold(name));
  std::string lines = cat(".TP\n", join(names, ", "));
  if (!flag.value.empty()) lines += cat(" \\fI", roff(flag.value), "\\fR");
  lines += cat("\n", roff(sentence(flag.description)), "\n");
  if (!flag.choices.empty()) lines += cat("One of: ", roff(join(flag.choices, ", ")), ".\n");
  if (!flag.standard.empty()) lines += cat("Default: ", roff(flag.standard), ".\n");
  if (flag.required) lines += "Required.\n";
  return lines;
}

std::string flag_sections(const CommandEntry& command) {
  std::string lines = ".SH OPTIONS\n";
  std::vector<std::string> groups;
  for (const FlagEntry& flag : command.flags) {
    if (std::find(groups.begin(), groups.end(), flag.group) == groups.end()) groups.push_back(flag.group);
  }
  for (const std::string& group : groups) {
    if (group != "Options") lines += cat(".SS \"", roff(group), "\"\n");
    for (const FlagEntry& flag : command.flags) {
      if (flag.group == group) lines += flag_paragraph(flag);
    }
  }
  return lines;
}

std::string command_list(const CommandEntry& command) {
  if (command.commands.empty()) return "";
  std::string lines = ".SH COMMANDS\n";
  for (const CommandEntry& sub : command.commands) {
    lines += cat(".TP\n", bold(sub.name), "\n", roff(sentence(sub.description)), "\n");
  }
  return lines;
}

// "Example:\n  striate chat ...": the footer, as code.
std::string example_section(const CommandEntry& command) {
  const std::size_t begin = command.footer.find('\n');
  if (begin == std::string::npos) return "";
  std::string lines = ".SH EXAMPLE\n.EX\n";
  for (const std::string& line : split(command.footer.substr(begin + 1), '\n')) lines += roff(line) + "\n";
  return lines + ".EE\n";
}

std::string see_also(const CommandEntry& program, const CommandEntry& command) {
  std::vector<std::string> pages;
  const auto add = [&](const CommandEntry& page) { pages.push_back(cat(".BR ", roff(page_name(page)), " (1)")); };
  if (&command != &program) add(program);
  for (const CommandEntry& sub : command.commands) add(sub);
  return cat(".SH SEE ALSO\n", join(pages, ",\n"), "\n");
}

constexpr const char* kExitStatus = R"(.SH EXIT STATUS
.TP
0
The command did what was asked.
.TP
1
It failed while it ran: the disk is full, memory is short, a rank is gone.
.TP
2
What was asked for is not possible: a flag, a file or a model does not fit.
)";

constexpr const char* kEnvironment = R"(.SH ENVIRONMENT
.TP
OMP_NUM_THREADS
Number of CPU threads, where
.B \-\-threads
is not given.
.TP
STRIATE_TORCH
The PyTorch that an unpacked release archive runs with.
)";

struct ManualFlags {
  std::string page;
  bool list = false;
};

void print_manual(const CLI::App& app, const ManualFlags& flags) {
  const CommandEntry program = command_tree(app);
  std::vector<std::string> names;
  for (const CommandEntry* command : all_commands(program)) {
    names.push_back(page_name(*command));
    if (!flags.list && names.back() == flags.page) {
      std::cout << man_page(program, *command) << std::flush;
      return;
    }
  }
  if (!flags.list)
    throw invalid_input(cat("--page ", flags.page, ": unknown page"), "--list prints the names of all pages");
  std::cout << join(names, "\n") << std::endl;
}

}  // namespace

std::string page_name(const CommandEntry& command) {
  return join(split(command.name, ' '), "-");
}

std::string man_page(const CommandEntry& program, const CommandEntry& command) {
  const bool chooses = !command.commands.empty();
  std::string page = cat(".TH ", roff(page_name(command)), " 1 \"\" \"striate ", STRIATE_VERSION, "\" \"Striate\"\n");
  page += cat(".SH NAME\n", roff(page_name(command)), " \\- ", roff(command.description), "\n");
  page += cat(".SH SYNOPSIS\n", bold(command.name), chooses ? " \\fICOMMAND\\fR" : "", " [\\fIOPTIONS\\fR]\n");
  page += cat(".SH DESCRIPTION\n", roff(sentence(command.description)), "\n");
  page += command_list(command) + flag_sections(command);
  if (!chooses || &command == &program) page += example_section(command);
  return page + kExitStatus + (&command == &program ? kEnvironment : "") + see_also(program, command);
}

void add_manual(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<ManualFlags>();
  CLI::App* command = app.add_subcommand("manual", "Print a man page");
  command->group("");
  command->add_option("--page", flags->page, "Name of the page")->type_name("NAME");
  command->add_flag("--list", flags->list, "Print the names of all pages");
  command->footer(example("striate manual --page striate-chat | man -l -"));
  command->callback([flags, &app, &run] { run.action = [flags, &app] { print_manual(app, *flags); }; });
}

}  // namespace striate::app
