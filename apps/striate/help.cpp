// striate help: what --help of a command prints. Not listed in --help, which every command has.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "apps/striate/command.h"
#include "apps/striate/command_line.h"

namespace striate::app {

void add_help(CLI::App& app, Invocation& run) {
  const auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* command = app.add_subcommand("help", "Print the help of a command");
  command->group("");
  command->add_option("command", *words, "The command, as it is typed")->type_name("COMMAND");
  command->footer(example("striate help data check"));
  command->callback(
      [words, &app, &run] { run.action = [words, &app] { std::cout << help_of(app, *words) << std::flush; }; });
}

}  // namespace striate::app
