// Runs a program from outside, as a user would.
#pragma once

#include <string>
#include <vector>

namespace striate::test {

struct CommandResult {
  int exit_code;    // 128 + signal when a signal ended it
  std::string out;  // standard output
  std::string err;  // standard error
};

// Runs arguments[0] with the rest as its arguments and `input` on its standard input.
CommandResult run_command(const std::vector<std::string>& arguments, const std::string& input = {});

}  // namespace striate::test
