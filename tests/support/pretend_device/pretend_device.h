// A pretend accelerator for tests without a GPU: LibTorch's PrivateUse1 backend. It shows what a GPU would refuse and
// counts what would cost time there. It is exact and slow.
//
// Memory: host code cannot read it, a CPU kernel that is given a device pointer ends the process with a message. What
// nobody wrote reads as NaN.
// Rules: those of CUDA about operators without a CUDA kernel, tensors of several devices, generators, and types.
// Arithmetic: every operator runs its CPU kernel on the same bytes, those of our own library (namespace striate), too.
// Calls that only CUDA has (variable-length flash attention) are references with CUDA's refusals.
//
// It does not show: speed; what an operator's kernel looks like (each counts as one launch); CUDA's own workspaces;
// sums in TF32; the order of atomic additions; streams that work at the same time; several devices.
#pragma once

#include <ATen/core/Tensor.h>

#include "tests/support/pretend_device/counts.h"

namespace striate::test {

// The device; the first call registers it with LibTorch for the rest of the process.
at::Device pretend_device();

// A CPU tensor over the bytes of a contiguous device tensor, which it keeps alive: for code that stands for hardware,
// such as a process group.
at::Tensor bytes_of(const at::Tensor& device_tensor);

// While it lives, the device has room for `bytes` more than are in use now. It then throws what CUDA's allocator
// throws.
class DeviceMemoryLimit {
 public:
  explicit DeviceMemoryLimit(std::int64_t bytes);
  ~DeviceMemoryLimit();
  DeviceMemoryLimit(const DeviceMemoryLimit&) = delete;
  DeviceMemoryLimit& operator=(const DeviceMemoryLimit&) = delete;

 private:
  std::size_t before_;
};

}  // namespace striate::test
