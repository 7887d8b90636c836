#include "striate/tensor/machine.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <sys/utsname.h>
#include <torch/version.h>
#include <unistd.h>

#include "striate/base/strings.h"
#include "striate/cuda/gpu_kernels.h"
#include "striate/cuda/gpu_list.h"
#include "striate/tensor/matrix.h"

namespace striate {
namespace {

// "Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build ..." to "2024.2"; "" where there is no number.
std::string first_number(const std::string& text) {
  const std::size_t begin = text.find_first_of("0123456789");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_first_not_of("0123456789.", begin) - begin);
}

nlohmann::json gpu_description(at::Device device) {
  nlohmann::json gpu = {{"driver", cuda::gpu_driver_version()},
                        {"cuda", cuda_runtime_version()},
                        {"cudnn", cudnn_version()},
                        {"kernels", cuda::gpu_kernels(device).description}};
  const std::vector<cuda::Gpu> gpus = cuda::list_gpus();
  const auto index = static_cast<std::size_t>(device.has_index() ? device.index() : 0);
  if (index >= gpus.size()) return gpu;
  gpu["name"] = gpus[index].name;
  gpu["memory_bytes"] = gpus[index].memory;
  gpu["compute_capability"] = cat(gpus[index].major, ".", gpus[index].minor);
  return gpu;
}

}  // namespace

std::optional<std::string> without_gpu_kernels(at::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  const cuda::GpuKernelsState& state = cuda::gpu_kernels(device);
  if (state.runner) return std::nullopt;
  return state.description;
}

std::string matrix_libraries() {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name, bool there, const std::string& version) {
    if (there) names.push_back(version.empty() ? name : cat(name, " ", version));
  };
  add("MKL", at::hasMKL(), first_number(at::get_mkl_version()));
  // What LibTorch calls BLAS where it is another one ("BLAS_INFO=open").
  const std::string config = at::show_config();
  const std::string key = "BLAS_INFO=";
  const std::size_t begin = config.find(key);
  if (begin != std::string::npos && !at::hasMKL()) {
    const std::size_t name = begin + key.size();
    names.push_back("BLAS " + config.substr(name, config.find_first_of(",\n", name) - name));
  }
  add("oneDNN", at::hasMKLDNN(), first_number(at::get_mkldnn_version()));
  return names.empty() ? "none" : join(names, ", ");
}

std::string instruction_sets() {
  return cat("LibTorch ", at::get_cpu_capability(), "; own loops ", cpu_description());
}

std::string cuda_runtime_version() {
  const at::CUDAHooksInterface& hooks = at::detail::getCUDAHooks();
  if (!hooks.hasCUDART()) return "";
  const long version = hooks.versionCUDART();  // 12060
  return cat(version / 1000, ".", version % 1000 / 10);
}

std::string cudnn_version() {
  const at::CUDAHooksInterface& hooks = at::detail::getCUDAHooks();
  if (!hooks.hasCuDNN()) return "";
  const long version = hooks.versionCuDNN();  // 91300; up to version 8 8902
  const long major = version >= 90000 ? 10000 : 1000;
  return cat(version / major, ".", version % major / 100, ".", version % 100);
}

nlohmann::json hardware_description(const std::string& device, const std::string& compute, int ranks) {
  utsname system{};
  ::uname(&system);
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
  const auto page = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
  nlohmann::json description = {{"machine", system.machine},
                                {"system", cat(system.sysname, " ", system.release)},
                                {"cpu", cpu_description()},
                                {"instructions", instruction_sets()},
                                {"libtorch", TORCH_VERSION},
                                {"matrices", matrix_libraries()},
                                {"threads", at::get_num_threads()},
                                {"memory_bytes", pages * page},
                                {"device", device},
                                {"compute", compute},
                                {"ranks", ranks}};
  if (device.starts_with("cuda")) description["gpu"] = gpu_description(at::Device(device));
  return description;
}

}  // namespace striate
