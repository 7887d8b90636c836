#include "striate/cuda/driver.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/cuda/shared_library.h"

namespace striate::cuda {

Driver open_driver() {
  const SharedLibrary library({"libcuda.so.1"});
  Driver driver;
  driver.Init = library.function<int(unsigned)>("cuInit");
  driver.DeviceGet = library.function<int(int*, int)>("cuDeviceGet");
  driver.DeviceGetAttribute = library.function<int(int*, int, int)>("cuDeviceGetAttribute");
  driver.DevicePrimaryCtxRetain = library.function<int(void**, int)>("cuDevicePrimaryCtxRetain");
  driver.CtxGetCurrent = library.function<int(void**)>("cuCtxGetCurrent");
  driver.CtxSetCurrent = library.function<int(void*)>("cuCtxSetCurrent");
  driver.ModuleLoadData = library.function<int(void**, const void*)>("cuModuleLoadData");
  driver.ModuleGetFunction = library.function<int(void**, void*, const char*)>("cuModuleGetFunction");
  driver.LaunchKernel = library.function<int(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                                             unsigned, void*, void**, void**)>("cuLaunchKernel");
  driver.GetErrorString = library.function<int(int, const char**)>("cuGetErrorString");
  return driver;
}

void check(const Driver& driver, int result, const char* doing) {
  if (result == 0) return;
  const char* text = nullptr;
  const bool known = driver.GetErrorString(result, &text) == 0 && text != nullptr;
  throw resource_error(cat("CUDA, ", doing, ": ", known ? text : cat("error ", result)));
}

}  // namespace striate::cuda
