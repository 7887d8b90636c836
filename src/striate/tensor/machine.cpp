#include "striate/tensor/machine.h"

#include <ATen/Parallel.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "striate/base/strings.h"
#include "striate/cuda/gpu_kernels.h"
#include "striate/tensor/matrix.h"

namespace striate {

std::optional<std::string> without_gpu_kernels(at::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  const cuda::GpuKernelsState& state = cuda::gpu_kernels(device);
  if (state.runner) return std::nullopt;
  return state.description;
}

nlohmann::json hardware_description(const std::string& device, const std::string& compute, int ranks) {
  utsname system{};
  ::uname(&system);
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
  const auto page = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
  nlohmann::json description = {{"machine", system.machine},    {"system", cat(system.sysname, " ", system.release)},
                                {"cpu", cpu_description()},     {"threads", at::get_num_threads()},
                                {"memory_bytes", pages * page}, {"device", device},
                                {"compute", compute},           {"ranks", ranks}};
  if (device.starts_with("cuda")) description["kernels"] = cuda::gpu_kernels(at::Device(device)).description;
  return description;
}

}  // namespace striate
