// Time by both clocks: what passed, and what the processor's cores gave this program.
#pragma once

#include <chrono>
#include <ctime>

namespace striate::bench {

// Runs from its construction on.
class Stopwatch {
 public:
  struct Seconds {
    double wall = 0.0, cpu = 0.0;  // cpu: of all threads together

    Seconds& operator+=(const Seconds& other) {
      wall += other.wall;
      cpu += other.cpu;
      return *this;
    }
  };

  Seconds seconds() const {
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start_;
    return {wall.count(), static_cast<double>(std::clock() - cpu_start_) / CLOCKS_PER_SEC};
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::clock_t cpu_start_ = std::clock();
};

}  // namespace striate::bench
