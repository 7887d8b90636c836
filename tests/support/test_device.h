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
// The reference's arithmetic there.
inline Placement exact_placement() {
  return {test_device(), Compute::kFloat32};
}

}  // namespace striate::test
