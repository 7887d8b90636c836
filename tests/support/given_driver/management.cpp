// A libnvidia-ml.so.1 that tells the version of the driver beside it.
#include <cstring>

// NOLINTBEGIN(readability-identifier-naming): the names are NVIDIA's
extern "C" {

int nvmlInit_v2() {
  return 0;
}

int nvmlShutdown() {
  return 0;
}

int nvmlSystemGetDriverVersion(char* version, unsigned size) {
  std::strncpy(version, "580.65.06", size);
  return 0;
}
}
// NOLINTEND(readability-identifier-naming)
