#include "striate/tensor/device_memory.h"

#include <ATen/DeviceAccelerator.h>

namespace striate {

DeviceMemory device_memory(at::Device gpu) {
  const auto [free, total] = at::accelerator::getMemoryInfo(gpu.index());
  return {static_cast<std::int64_t>(free), static_cast<std::int64_t>(total)};
}

}  // namespace striate
