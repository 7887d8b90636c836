// What every command of the program shares.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace striate::app {

// What main() does once the flags are parsed. Each command has one file, named after it; its function adds the
// subcommand to `app` and, when the user chose it, sets `run`.
struct Run {
  std::function<void()> action;
  bool computes = false;  // it multiplies matrices: worth starting anew for threads that wait passively
  int exit_code = 0;      // of a command that ended well, and yet not as asked (interrupted)
};

void add_inspect(CLI::App& app, Run& run);
void add_init(CLI::App& app, Run& run);
void add_tokenize(CLI::App& app, Run& run);
void add_chat(CLI::App& app, Run& run);
void add_train(CLI::App& app, Run& run);
void add_data(CLI::App& app, Run& run);
void add_plan(CLI::App& app, Run& run);
void add_region(CLI::App& app, Run& run);
void add_export(CLI::App& app, Run& run);
void add_revert(CLI::App& app, Run& run);
void add_mini(CLI::App& app, Run& run);

// The help text's closing lines: an example a reader can paste.
std::string example(const std::string& text);

}  // namespace striate::app
