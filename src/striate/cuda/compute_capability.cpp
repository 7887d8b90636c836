#include "striate/cuda/compute_capability.h"

#include "striate/base/error.h"
#include "striate/cuda/driver.h"

namespace striate::cuda {

std::optional<int> compute_capability(int device) {
  // Numbers of the CUDA Driver API reference.
  constexpr int kMajor = 75;
  constexpr int kMinor = 76;
  try {
    const Driver driver = open_driver();
    int handle = 0, major = 0, minor = 0;
    const bool known = driver.Init(0) == 0 && driver.DeviceGet(&handle, device) == 0 &&
                       driver.DeviceGetAttribute(&major, kMajor, handle) == 0 &&
                       driver.DeviceGetAttribute(&minor, kMinor, handle) == 0;
    return known ? std::optional(10 * major + minor) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace striate::cuda
