#include "striate/cuda/gpu_list.h"

#include <array>
#include <optional>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/cuda/shared_library.h"

namespace striate::cuda {
namespace {

constexpr int kDone = 0;              // of a CUresult and of an nvmlReturn_t
constexpr int kCapabilityMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
constexpr int kCapabilityMinor = 76;

std::optional<SharedLibrary> opened(const char* name) {
  try {
    return SharedLibrary({name});
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<Gpu> gpus_of(const SharedLibrary& driver) {
  const auto init = driver.function<int(unsigned)>("cuInit");
  const auto device_count = driver.function<int(int*)>("cuDeviceGetCount");
  const auto get = driver.function<int(int*, int)>("cuDeviceGet");
  const auto name_of = driver.function<int(char*, int, int)>("cuDeviceGetName");
  const auto memory_of = driver.function<int(std::size_t*, int)>("cuDeviceTotalMem_v2");
  const auto attribute = driver.function<int(int*, int, int)>("cuDeviceGetAttribute");
  int count = 0;
  if (init(0) != kDone || device_count(&count) != kDone) return {};
  std::vector<Gpu> gpus;
  for (int i = 0; i < count; ++i) {
    int device = 0;
    std::array<char, 128> name{};
    std::size_t memory = 0;
    if (get(&device, i) != kDone || memory_of(&memory, device) != kDone) continue;
    name_of(name.data(), static_cast<int>(name.size()) - 1, device);
    Gpu gpu{name.data(), static_cast<std::int64_t>(memory), 0, 0};
    attribute(&gpu.major, kCapabilityMajor, device);
    attribute(&gpu.minor, kCapabilityMinor, device);
    gpus.push_back(std::move(gpu));
  }
  return gpus;
}

// What the management library says of the driver; empty where it says nothing.
std::string version_of(const SharedLibrary& management) {
  std::array<char, 81> version{};  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE, and an end
  if (management.function<int()>("nvmlInit_v2")() != kDone) return "";
  management.function<int(char*, unsigned)>("nvmlSystemGetDriverVersion")(version.data(), version.size() - 1);
  management.function<int()>("nvmlShutdown")();
  return version.data();
}

// "13.0" of 13000.
std::string cuda_version_of(const SharedLibrary& driver) {
  int version = 0;
  if (driver.function<int(int*)>("cuDriverGetVersion")(&version) != kDone) return "";
  return cat(version / 1000, ".", version % 1000 / 10);
}

}  // namespace

std::vector<Gpu> list_gpus() {
  const auto driver = opened("libcuda.so.1");
  try {
    return driver ? gpus_of(*driver) : std::vector<Gpu>();
  } catch (const Error&) {  // a driver without one of these functions
    return {};
  }
}

std::string gpu_driver_version() {
  const auto driver = opened("libcuda.so.1");
  if (!driver) return "";
  std::string own, cuda;
  try {
    cuda = cuda_version_of(*driver);
    if (const auto management = opened("libnvidia-ml.so.1")) own = version_of(*management);
  } catch (const Error&) {  // what is known so far counts
  }
  if (own.empty() || cuda.empty()) return own.empty() && !cuda.empty() ? cat("for CUDA ", cuda) : own;
  return cat(own, " (CUDA ", cuda, ")");
}

}  // namespace striate::cuda
