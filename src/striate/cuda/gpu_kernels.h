// The kernels on a GPU: loaded when first needed, launched on LibTorch's current stream.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "striate/cuda/cubin_cache.h"
#include "striate/cuda/driver.h"
#include "striate/cuda/kernel_runner.h"

namespace striate::cuda {

// The kernels of one GPU. Safe to use from several threads.
class GpuKernels final : public KernelRunner {
 public:
  // `stream` gives the handle of the stream that launches go to. Throws ResourceError where the driver fails,
  // Unsupported for a GPU without bf16 (before compute capability 8.0).
  GpuKernels(Driver driver, CubinCache cache, int device, std::function<void*()> stream);

  void launch(const Launch& launch) override;
  // Compute capability 9.0 is 90.
  int architecture() const { return architecture_; }

 private:
  void* function_of(const Launch& launch);

  Driver driver_;
  CubinCache cache_;
  std::function<void*()> stream_;
  void* context_ = nullptr;
  int architecture_ = 0;
  std::mutex mutex_;
  std::map<std::string, void*, std::less<>> modules_;    // by source
  std::map<std::string, void*, std::less<>> functions_;  // by kernel
};

// Whether a device has kernels of ours, and if not, why.
struct GpuKernelsState {
  std::shared_ptr<KernelRunner> runner;  // null: there are none
  std::string description;               // "kernels compiled by NVRTC 13.0 for sm_90", or the reason
};

// Those of a CUDA device, the same in every call. The first call for a device looks for the driver and for NVRTC, and
// compiles every source, so that a machine on which that fails is known from the beginning.
const GpuKernelsState& gpu_kernels(at::Device device);

}  // namespace striate::cuda
