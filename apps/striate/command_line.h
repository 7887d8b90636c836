// Help, and error messages for mistakes on the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "striate/base/error.h"

namespace striate::app {

// Whether `striate`, or a command that has commands of its own, was called without one: its help is the answer. Call
// once parsing threw; sets nothing, prints the help to standard output.
bool answered_with_help(const CLI::App& app, int argc, char** argv);

// What --help prints after these words ("data", "check"); of `app` itself where there are none. Throws InvalidInput
// with the nearest name when there is no such command.
std::string help_of(const CLI::App& app, const std::vector<std::string>& words);

// Throws InvalidInput with the nearest name when the command that was typed does not exist. Call before parsing.
void require_known_command(const CLI::App& app, int argc, char** argv);

// What parsing threw, as an error of ours: unknown flags first, all of them in the order they were typed, each with the
// nearest flag of that command.
Error usage_error(const CLI::App& app, const CLI::ParseError& bad, int argc, char** argv);

}  // namespace striate::app
