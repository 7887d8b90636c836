// Where tests put their models and tensors: on the CPU; with STRIATE_TEST_DEVICE=pretend on the pretend device
// (pretend_device/pretend_device.h), with STRIATE_TEST_DEVICE=cuda on a GPU. `ctest -L device` runs tests a second time
// in this way. On the pretend device a test that launches nothing there fails: it would show nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include "striate/model/placement.h"

namespace striate::test {

// Throws std::runtime_error for a name that it does not know.
at::Device test_device();
inline bool tests_run_on_cpu() {
  return test_device().is_cpu();
}
// For tests that want a device beside the CPU: the tests' own, or else the pretend one.
at::Device other_device();
// The reference's arithmetic there.
inline Placement exact_placement() {
  return {test_device(), Compute::kFloat32};
}

}  // namespace striate::test

// Skips a test of the pretend device's own where tests run on a GPU: LibTorch knows one accelerator in a process.
#define STRIATE_REQUIRE_NO_GPU() \
  if (striate::test::test_device().is_cuda()) GTEST_SKIP() << "this runs on the pretend device alone"
