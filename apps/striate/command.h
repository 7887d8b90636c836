// What every command of the program shares.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace striate::app {

// What main() does once the flags are parsed. Each command has one file, named after it; its function adds the
// subcommand to `app` and, when the user chose it, sets `run`.
struct Invocation {
  std::function<void()> action;
  bool computes = false;  // it multiplies matrices: worth starting anew for threads that wait passively
  int exit_code = 0;      // of a command that ended well, and yet not as asked (interrupted)
  std::string command;    // the first word of its name: "train"; empty until it is known
  bool debug = false;     // whether --debug was given
};

void add_inspect(CLI::App& app, Invocation& run);
void add_init(CLI::App& app, Invocation& run);
void add_tokenize(CLI::App& app, Invocation& run);
void add_chat(CLI::App& app, Invocation& run);
void add_predict(CLI::App& app, Invocation& run);
void add_train(CLI::App& app, Invocation& run);
void add_heal(CLI::App& app, Invocation& run);
void add_prune(CLI::App& app, Invocation& run);
void add_data(CLI::App& app, Invocation& run);
void add_plan(CLI::App& app, Invocation& run);
void add_region(CLI::App& app, Invocation& run);
void add_export(CLI::App& app, Invocation& run);
void add_score(CLI::App& app, Invocation& run);
void add_revert(CLI::App& app, Invocation& run);
void add_mini(CLI::App& app, Invocation& run);
void add_eval(CLI::App& app, Invocation& run);
void add_study(CLI::App& app, Invocation& run);
void add_completion(CLI::App& app, Invocation& run);
void add_help(CLI::App& app, Invocation& run);
void add_manual(CLI::App& app, Invocation& run);

// The help text's closing lines: an example a reader can paste.
std::string example(const std::string& text);

}  // namespace striate::app
