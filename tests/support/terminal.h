// A terminal for tests: what stands on it, and programs that run on one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace striate::test {

// The lines that stand on a terminal of `columns` columns once it was sent `written`; the last is the one the cursor is
// on. It obeys line feed, carriage return and ESC [K, and begins a new line where one is full.
std::vector<std::string> lines_on_terminal(std::string_view written, std::size_t columns);

// Whether this machine gives a program terminals: a bare chroot without /dev/pts does not.
bool has_terminals();

struct TerminalResult {
  int exit_code;        // 128 + signal when a signal ended it
  std::string written;  // standard output and standard error, as the terminal got them
};

// Runs arguments[0] on a terminal of its own, `columns` wide.
TerminalResult run_on_terminal(const std::vector<std::string>& arguments, std::size_t columns);

}  // namespace striate::test
