#include "apps/striate/version.h"

#include <torch/version.h>

#include "apps/striate/git_revision.h"
#include "striate/base/strings.h"
#include "striate/cuda/gpu_list.h"
#include "striate/tensor/machine.h"
#include "striate/version.h"

namespace striate::app {
namespace {

std::string cuda_build() {
  const std::string cuda = cuda_runtime_version();
  if (cuda.empty()) return "none: this LibTorch computes only on the CPU";
  const std::string cudnn = cudnn_version();
  return cat("LibTorch built for ", cuda, cudnn.empty() ? "" : ", cuDNN ", cudnn);
}

std::string gpu_lines() {
  const std::vector<cuda::Gpu> gpus = cuda::list_gpus();
  if (gpus.empty()) return "GPU            none\n";
  std::string lines = cat("GPU driver     ", cuda::gpu_driver_version(), "\n");
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    lines += cat("GPU ", i, gpus.size() > 10 && i < 10 ? " " : "", "          ", gpus[i].name, ", ",
                 human_bytes(static_cast<std::uint64_t>(gpus[i].memory)), ", compute capability ", gpus[i].major, ".",
                 gpus[i].minor, "\n");
  }
  return lines;
}

}  // namespace

std::string version_text() {
  return cat("striate ", STRIATE_VERSION, "\n",                                    //
             "git revision   ", git_revision(), "\n",                              //
             "compiler       ", STRIATE_COMPILER, ", ", STRIATE_BUILD_TYPE, "\n",  //
             "LibTorch       ", TORCH_VERSION, "\n",                               //
             "matrices       ", matrix_libraries(), "\n",                          //
             "instructions   ", instruction_sets(), "\n",                          //
             "CUDA           ", cuda_build(), "\n", std::string(trim(gpu_lines())));
}

}  // namespace striate::app
