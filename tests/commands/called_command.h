// Commands of the program, run inside the test's process.
#pragma once

#include <string>
#include <vector>

#include "striate/base/error.h"

namespace striate::test {

// `striate` with these arguments, in which everything happens that the program does between main() and the exit status.
// Returns what it printed on standard output. Throws what the command throws.
std::string call_striate(const std::vector<std::string>& arguments);

// The error that the same ends in, as main() shows it: with flags in place of settings. Fails the test where there is
// none; the error is then Internal.
Error refusal_of(const std::vector<std::string>& arguments);

}  // namespace striate::test
