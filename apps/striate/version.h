// striate --version.
#pragma once

#include <string>

namespace striate::app {

// Several lines: version and git revision, compiler, LibTorch, its matrix libraries, the instruction sets that are used
// on this CPU, CUDA and the GPUs that are here now. What a report of a problem needs.
std::string version_text();

}  // namespace striate::app
