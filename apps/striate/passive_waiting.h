// Threads that wait without spinning.
#pragma once

namespace striate::app {

// LibTorch's OpenMP threads spin at every barrier by default, which makes a step many times slower as soon as another
// job holds a core. The OpenMP library reads its wait policy before main() runs, so the only way to set it from inside
// is to start the program once more: this returns at once when OMP_WAIT_POLICY is set, and otherwise sets it to
// "passive" and replaces the process by itself. A user's own setting is kept.
void wait_passively(char** argv);

}  // namespace striate::app
