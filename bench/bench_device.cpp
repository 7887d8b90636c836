#include "bench/bench_device.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <fstream>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/matrix.h"
#ifdef STRIATE_BENCH_PRETENDS
#include "tests/support/pretend_device/pretend_device.h"
#endif

namespace striate::bench {
namespace {

std::int64_t peak_resident() {
  std::ifstream lines("/proc/self/status");
  std::string line;
  while (std::getline(lines, line)) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  throw internal_error("/proc/self/status has no VmHWM");
}

}  // namespace

at::Device device_named(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name == "cuda") {
    if (!at::hasCUDA()) throw invalid_input("no GPU, or LibTorch is not a CUDA build", "striate --version names both");
    return {at::kCUDA, 0};
  }
#ifdef STRIATE_BENCH_PRETENDS
  if (name == "pretend") return test::pretend_device();
#endif
  throw invalid_input(cat("no device ", name), "known: cpu, cuda, and pretend where the tests are built");
}

void wait_for(at::Device device) {
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
}

std::string device_description(at::Device device) {
  if (device.is_cpu()) return cpu_description();
  return cat(device.is_cuda() ? "GPU " : "pretend device ", static_cast<int>(device.index()));
}

std::int64_t peak_memory(at::Device device) {
  if (!device.is_cuda()) return peak_resident();
  return at::accelerator::getDeviceStats(device.index()).allocated_bytes[0].peak;
}

}  // namespace striate::bench
