// What every benchmark program's main does.
#pragma once

#include <exception>
#include <iostream>

#include "striate/base/error.h"
#include "striate/base/memory.h"

namespace striate::bench {

// Runs `program` as striate runs its commands, and says what it throws in striate's two lines. The exit status.
inline int run_guarded(int (*program)(int argc, char** argv), int argc, char** argv) {
  keep_freed_memory();
  try {
    return program(argc, argv);
  } catch (const Error& error) {
    std::cerr << "error: " << error.what() << "\nhint: " << error.hint() << '\n';
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
  }
  return 1;
}

}  // namespace striate::bench
