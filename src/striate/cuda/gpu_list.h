// The GPUs of this machine and their driver, asked of NVIDIA's libraries. These are opened when they are asked, so that
// neither the program nor LibTorch has to be built with CUDA.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace striate::cuda {

struct Gpu {
  std::string name;
  std::int64_t memory = 0;  // bytes
  int major = 0;            // compute capability
  int minor = 0;
};

// Empty without a driver or a GPU. Source: CUDA Driver API, cuda.h.
std::vector<Gpu> list_gpus();

// "580.65.06 (CUDA 13.0)": the driver's own version, where its management library tells it (NVML, nvml.h), and the
// latest CUDA that it runs. Empty without a driver.
std::string gpu_driver_version();

}  // namespace striate::cuda
