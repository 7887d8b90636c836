// What every command of the program shares.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace striate::app {

// One command: a name, its flags, and what it does once they are parsed. Each has one file, named after it; its
// function adds the subcommand to `app` and stores in `run` what main() calls when the user chose it.
using Run = std::function<void()>;

void add_inspect(CLI::App& app, Run& run);
void add_init(CLI::App& app, Run& run);
void add_tokenize(CLI::App& app, Run& run);
void add_chat(CLI::App& app, Run& run);

// The help text's closing lines: an example a reader can paste.
std::string example(const std::string& text);

}  // namespace striate::app
