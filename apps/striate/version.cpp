#include "apps/striate/version.h"

#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/version.h>

#include "apps/striate/git_revision.h"
#include "apps/striate/gpu_list.h"
#include "striate/base/strings.h"
#include "striate/tensor/matrix.h"
#include "striate/version.h"

namespace striate::app {
namespace {

// "Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build ..." to "2024.2"; "" where there is no number.
std::string first_number(const std::string& text) {
  const std::size_t begin = text.find_first_of("0123456789");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_first_not_of("0123456789.", begin) - begin);
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

std::string cuda_build() {
  if (!at::detail::getCUDAHooks().hasCUDART()) return "none: this LibTorch computes only on the CPU";
  const long version = at::detail::getCUDAHooks().versionCUDART();  // 12060
  return cat("LibTorch built for ", version / 1000, ".", version % 1000 / 10);
}

std::string gpu_lines() {
  const std::vector<Gpu> gpus = list_gpus();
  if (gpus.empty()) return "GPU            none\n";
  std::string lines;
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    lines += cat("GPU ", i, gpus.size() > 10 && i < 10 ? " " : "", "          ", gpus[i].name, ", ",
                 human_bytes(static_cast<std::uint64_t>(gpus[i].memory)), ", compute capability ", gpus[i].major, ".",
                 gpus[i].minor, "\n");
  }
  return lines;
}

}  // namespace

std::string version_text() {
  return cat("striate ", STRIATE_VERSION, "\n",                                                              //
             "git revision   ", git_revision(), "\n",                                                        //
             "compiler       ", STRIATE_COMPILER, ", ", STRIATE_BUILD_TYPE, "\n",                            //
             "LibTorch       ", TORCH_VERSION, "\n",                                                         //
             "matrices       ", matrix_libraries(), "\n",                                                    //
             "instructions   LibTorch ", at::get_cpu_capability(), "; own loops ", cpu_description(), "\n",  //
             "CUDA           ", cuda_build(), "\n", std::string(trim(gpu_lines())));
}

}  // namespace striate::app
