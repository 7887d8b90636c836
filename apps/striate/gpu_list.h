// The GPUs of this machine, asked of NVIDIA's driver.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace striate::app {

struct Gpu {
  std::string name;
  std::int64_t memory = 0;  // bytes
  int major = 0;            // compute capability
  int minor = 0;
};

// Empty without a driver or a GPU. The driver is opened when this is called, so that neither the program nor LibTorch
// has to be built with CUDA. Source: CUDA Driver API, cuda.h.
std::vector<Gpu> list_gpus();

}  // namespace striate::app
