// A libcuda.so.1 for machines without a GPU: a driver that knows of two GPUs and can do nothing with them.
#include <cstddef>
#include <cstring>

// NOLINTBEGIN(readability-identifier-naming): the names are NVIDIA's
extern "C" {

int cuInit(unsigned) {
  return 0;
}

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}

int cuDeviceGetCount(int* count) {
  *count = 2;
  return 0;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return 0;
}

int cuDeviceGetName(char* name, int size, int device) {
  std::strncpy(name, device == 0 ? "NVIDIA H100 80GB HBM3" : "NVIDIA T4", static_cast<std::size_t>(size));
  return 0;
}

int cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
  *bytes = static_cast<std::size_t>(device == 0 ? 80 : 16) * 1'000'000'000;
  return 0;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
  if (attribute == 75) *value = device == 0 ? 9 : 7;
  if (attribute == 76) *value = device == 0 ? 0 : 5;
  return 0;
}
}
// NOLINTEND(readability-identifier-naming)
