// The device that a benchmark computes on.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace striate::bench {

// "cpu", "cuda", or "pretend", the tests' device (tests/support/pretend_device/): it shows that a benchmark runs, and
// nothing of the speed. Throws InvalidInput for others, and where there is no such device.
at::Device device_named(const std::string& name);

// Returns when all work that was given to the device is done, so that a clock may be read.
void wait_for(at::Device device);

// What computes there: the CPU and its instruction sets, or the GPU's name.
std::string device_description(at::Device device);

// The most bytes of device memory that tensors have held so far; the process's peak of resident memory on the CPU and
// the pretend device.
std::int64_t peak_memory(at::Device device);

}  // namespace striate::bench
