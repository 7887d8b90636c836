// How much memory a device has.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace striate {

// Bytes.
struct DeviceMemory {
  std::int64_t free = 0;   // now, for any program
  std::int64_t total = 0;  // always the same for a device
};

// Of a GPU. Throws what LibTorch throws where there is none.
DeviceMemory device_memory(at::Device gpu);

}  // namespace striate
