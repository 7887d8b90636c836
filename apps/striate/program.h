// The whole command line of the program: every command, and how arguments become the one that runs.
#pragma once

#include <memory>
#include <optional>

#include "apps/striate/command.h"

namespace striate::app {

// `striate` with all its commands, which fill in `run` when arguments are parsed; `run` must outlive it.
std::unique_ptr<CLI::App> make_program(Invocation& run);

// Parses the arguments. Returns the exit status where they are answered already (--help, --version, a command that has
// commands of its own and was called without one); nullopt where `run.action` is to be called. Throws InvalidInput for
// mistakes, before anything else is done.
std::optional<int> parse_arguments(CLI::App& program, int argc, char** argv, Invocation& run);

}  // namespace striate::app
