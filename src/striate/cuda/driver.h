// The functions of CUDA's driver that load and launch kernels, taken from libcuda.so.1 while the program runs: nothing
// of CUDA is needed to build. Names without `cu` are those of the CUDA Driver API reference; every function returns 0
// or an error's number.
#pragma once

#include <functional>

namespace striate::cuda {

struct Driver {
  std::function<int(unsigned flags)> Init;
  std::function<int(int* device, int ordinal)> DeviceGet;
  std::function<int(int* value, int attribute, int device)> DeviceGetAttribute;
  std::function<int(void** context, int device)> DevicePrimaryCtxRetain;
  std::function<int(void** context)> CtxGetCurrent;
  std::function<int(void* context)> CtxSetCurrent;
  std::function<int(void** module, const void* image)> ModuleLoadData;
  std::function<int(void** function, void* module, const char* name)> ModuleGetFunction;
  std::function<int(void* function, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x,
                    unsigned threads_y, unsigned threads_z, unsigned shared_bytes, void* stream, void** arguments,
                    void** extra)>
      LaunchKernel;
  std::function<int(int error, const char** text)> GetErrorString;
};

// Throws Unsupported on a machine without an NVIDIA driver.
Driver open_driver();

// Throws ResourceError with the driver's words unless `result` is 0; `doing` says what was tried.
void check(const Driver& driver, int result, const char* doing);

}  // namespace striate::cuda
