// The sources of the kernels, which are inside the library as text.
#pragma once

#include <string_view>
#include <vector>

namespace striate::cuda {

struct KernelSource {
  std::string_view name;  // "norm"
  std::string_view text;
};

// kernels/*.cu.
const std::vector<KernelSource>& kernel_sources();
// Throws Internal for a name that none has.
const KernelSource& kernel_source(std::string_view name);

// kernels/device.cuh, which every one of them includes under kSharedSourceName.
inline constexpr const char* kSharedSourceName = "device.cuh";
std::string_view shared_source();

}  // namespace striate::cuda
