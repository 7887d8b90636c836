// NVRTC, CUDA's compiler as a library: every CUDA wheel of PyTorch brings it. Opened while the program runs.
#pragma once

#include <string>
#include <vector>

#include "striate/cuda/kernel_source.h"
#include "striate/cuda/shared_library.h"

namespace striate::cuda {

// What every kernel is compiled with, besides the architecture.
std::vector<std::string> compile_options();
// The one of them that nvcc does not have: before 13.1 NVRTC takes the functions that lambdas are for the host's.
inline constexpr const char* kFunctionsAreTheDevices = "-default-device";

class Nvrtc {
 public:
  // The first of `names` that can be opened. Throws Unsupported where there is none.
  explicit Nvrtc(const std::vector<std::string>& names);

  // "NVRTC 13.0".
  std::string version() const;
  // The machine code (a cubin) of a source for an architecture such as 90, which is compute capability 9.0. Throws
  // Internal with the compiler's words where it does not compile, Unsupported for an architecture that this NVRTC does
  // not know.
  std::string compile(const KernelSource& source, int architecture) const;

 private:
  SharedLibrary library_;
};

// Where NVRTC is looked for: beside LibTorch, as the wheels lie, then wherever the system looks.
std::vector<std::string> nvrtc_names();

}  // namespace striate::cuda
