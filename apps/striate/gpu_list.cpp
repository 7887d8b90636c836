#include "apps/striate/gpu_list.h"

#include <dlfcn.h>

#include <array>

namespace striate::app {
namespace {

constexpr int kSuccess = 0;
constexpr int kCapabilityMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
constexpr int kCapabilityMinor = 76;

// The few functions that are needed; all return a CUresult, and a CUdevice is an int.
class Driver {
 public:
  Driver() : library_(::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) {
    init = find<int(unsigned)>("cuInit");
    count = find<int(int*)>("cuDeviceGetCount");
    device = find<int(int*, int)>("cuDeviceGet");
    name = find<int(char*, int, int)>("cuDeviceGetName");
    memory = find<int(std::size_t*, int)>("cuDeviceTotalMem_v2");
    attribute = find<int(int*, int, int)>("cuDeviceGetAttribute");
  }
  bool works() const { return init && count && device && name && memory && attribute && init(0) == kSuccess; }

  int (*init)(unsigned) = nullptr;
  int (*count)(int*) = nullptr;
  int (*device)(int*, int) = nullptr;
  int (*name)(char*, int, int) = nullptr;
  int (*memory)(std::size_t*, int) = nullptr;
  int (*attribute)(int*, int, int) = nullptr;

 private:
  template <typename Function>
  Function* find(const char* symbol) const {
    return library_ == nullptr ? nullptr : reinterpret_cast<Function*>(::dlsym(library_, symbol));
  }

  void* library_;  // stays open: LibTorch may use it as well
};

}  // namespace

std::vector<Gpu> list_gpus() {
  const Driver driver;
  int count = 0;
  if (!driver.works() || driver.count(&count) != kSuccess) return {};
  std::vector<Gpu> gpus;
  for (int i = 0; i < count; ++i) {
    int device = 0;
    std::array<char, 128> name{};
    std::size_t memory = 0;
    if (driver.device(&device, i) != kSuccess || driver.memory(&memory, device) != kSuccess) continue;
    driver.name(name.data(), static_cast<int>(name.size()) - 1, device);
    Gpu gpu{name.data(), static_cast<std::int64_t>(memory), 0, 0};
    driver.attribute(&gpu.major, kCapabilityMajor, device);
    driver.attribute(&gpu.minor, kCapabilityMinor, device);
    gpus.push_back(std::move(gpu));
  }
  return gpus;
}

}  // namespace striate::app
