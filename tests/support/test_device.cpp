#include "tests/support/test_device.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tests/support/pretend_device/pretend_device.h"

namespace striate::test {
namespace {

std::string device_name() {
  const char* name = std::getenv("STRIATE_TEST_DEVICE");
  return name == nullptr ? "cpu" : name;
}

class LaunchWatch : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { before_ = work_so_far(); }
  void OnTestEnd(const testing::TestInfo& test) override {
    if (!test.result()->Passed() || work_so_far() > before_) return;
    ADD_FAILURE() << "nothing of " << test.test_suite_name() << "." << test.name()
                  << " ran on the device: leave it out of the tests of striate_device_test()";
  }

  std::int64_t before_ = 0;
};

at::Device named_device() {
  const std::string name = device_name();
  if (name == "cpu") return at::kCPU;
  if (name == "cuda") return {at::kCUDA, 0};
  if (name == "pretend") return pretend_device();
  throw std::runtime_error("STRIATE_TEST_DEVICE=" + name + " is neither cpu, pretend nor cuda");
}

[[maybe_unused]] const bool watches = [] {
  if (device_name() == "pretend") testing::UnitTest::GetInstance()->listeners().Append(new LaunchWatch);
  return true;
}();

}  // namespace

at::Device test_device() {
  static const at::Device device = named_device();
  return device;
}

at::Device other_device() {
  return tests_run_on_cpu() ? pretend_device() : test_device();
}

}  // namespace striate::test
