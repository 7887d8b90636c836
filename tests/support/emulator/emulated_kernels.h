// The kernels of src/striate/cuda/kernels on the CPU, launched as on a GPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/cuda/kernel_runner.h"
#include "tests/support/emulator/block.h"

namespace striate::emulated {

// Blocks run one after another; tensors are the CPU's.
class EmulatedKernels final : public cuda::KernelRunner {
 public:
  explicit EmulatedKernels(Order order = Order::kAscending) : order_(order) {}
  // Throws std::logic_error for a kernel that is not there, and for arguments whose sizes are not those of its
  // parameters.
  void launch(const cuda::Launch& launch) override;
  // The kernels launched so far, as "source/kernel".
  const std::vector<std::string>& launched() const { return launched_; }

 private:
  Order order_;
  std::vector<std::string> launched_;
};

// All that can be launched, as "source/kernel".
std::vector<std::string> emulated_kernel_names();

}  // namespace striate::emulated
