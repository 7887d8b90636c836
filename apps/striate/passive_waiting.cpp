#include "apps/striate/passive_waiting.h"

#include <unistd.h>

#include <cstdlib>

namespace striate::app {

void wait_passively(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  ::execv("/proc/self/exe", argv);
  // Without /proc the program runs on as it is: slower under load, otherwise the same.
}

}  // namespace striate::app
