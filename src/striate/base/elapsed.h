// Wall-clock time of a piece of work.
#pragma once

#include <chrono>

namespace striate {

// Seconds from `start` to now.
inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace striate
