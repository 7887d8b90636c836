// The operators of namespace `striate`, called as LibTorch's own machinery calls them: by name, with boxed arguments.
#include "striate/tensor/operators.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "striate/cuda/gpu_list.h"
#include "striate/tensor/composed_ops.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/machine.h"
#include "striate/tensor/optimizer_ops.h"
#include "striate/tensor/train_ops.h"

namespace striate {
namespace {

std::vector<c10::OperatorHandle> our_operators() {
  std::vector<c10::OperatorHandle> ours;
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (!name.name.starts_with("striate::")) continue;
    if (const auto handle = c10::Dispatcher::singleton().findOp(name)) ours.push_back(*handle);
  }
  return ours;
}

std::vector<c10::IValue> call(const std::string& name, std::vector<c10::IValue> arguments) {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(("striate::" + name).c_str(), "");
  op.callBoxed(arguments);
  return arguments;
}

at::Tensor values(at::IntArrayRef shape, double from = -2.0) {
  const std::int64_t count = c10::multiply_integers(shape);
  return at::linspace(from, 2.5, count, at::TensorOptions(at::kFloat)).sin().reshape(shape);
}

TEST(Operators, EachHasAnImplementationForCpuAndForCuda) {
  const auto ours = our_operators();
  EXPECT_EQ(ours.size(), 16U);
  for (const auto& op : ours) {
    EXPECT_TRUE(op.hasKernelForDispatchKey(c10::DispatchKey::CPU)) << op.schema();
    EXPECT_TRUE(op.hasKernelForDispatchKey(c10::DispatchKey::CUDA)) << op.schema();
  }
}

TEST(Operators, BoxedCallsAreTheFunctions) {
  const at::Tensor x = values({3, 40}), delta = values({3, 40}, 1.0), weight = values({40}, 0.5);
  EXPECT_TRUE(at::equal(call("rms_norm", {x, weight, 1e-5})[0].toTensor(), rms_norm(x, weight, 1e-5)));
  const auto both = call("add_rms_norm", {x, delta, weight, 1e-5});
  EXPECT_TRUE(at::equal(both[0].toTensor(), x + delta));
  EXPECT_TRUE(at::equal(both[1].toTensor(), rms_norm(x + delta, weight, 1e-5)));
  const at::Tensor keys = at::arange(3, at::kLong);
  const std::uint64_t key = 0xFEDCBA9876543210ULL;
  EXPECT_TRUE(at::equal(call("dropout", {x, keys, static_cast<std::int64_t>(key), 0.25})[0].toTensor(),
                        dropout(x, {0.25, key, keys})));
}

TEST(Operators, WhatChangesInPlaceChangesTheCallersTensors) {
  const at::Tensor heads = values({5, 2, 8});
  const at::Tensor angles = values({5, 4});
  const at::Tensor turned = heads.clone();
  call("rotate_heads", {turned, angles.cos(), angles.sin(), 1.0});
  EXPECT_FALSE(at::allclose(turned, heads));
  call("rotate_heads", {turned, angles.cos(), angles.sin(), -1.0});
  EXPECT_TRUE(at::allclose(turned, heads, 1e-5, 1e-6));
  const at::Tensor logits = values({4, 9}), targets = at::arange(4, at::kLong), expected = logits.clone();
  const at::Tensor nll = cross_entropy_in_place(expected, targets, 0.5);
  EXPECT_TRUE(at::equal(call("cross_entropy_in_place", {logits, targets, 0.5})[0].toTensor(), nll));
  EXPECT_TRUE(at::equal(logits, expected));
}

TEST(Machine, SaysWhatComputesOnAGpu) {
  EXPECT_FALSE(without_gpu_kernels(at::kCPU));
  EXPECT_FALSE(hardware_description("cpu", "fp32", 1).contains("gpu"));
  const auto why = without_gpu_kernels(at::Device(at::kCUDA, 0));
  const std::string said = hardware_description("cuda:0", "bf16", 1).at("gpu").at("kernels");
  if (why) {
    EXPECT_EQ(said, *why);
    EXPECT_TRUE(said.starts_with("LibTorch's operators in place of own kernels: ")) << said;
  } else {
    EXPECT_TRUE(said.starts_with("kernels compiled by NVRTC ")) << said;
  }
}

TEST(Machine, NamesTheGpuItsDriverAndTheLibraries) {
  const nlohmann::json here = hardware_description("cpu", "fp32", 1);
  EXPECT_EQ(here.at("instructions"), instruction_sets());
  EXPECT_EQ(here.at("matrices"), matrix_libraries());
  EXPECT_TRUE(std::string(here.at("libtorch")).starts_with("2."));
  if (!cuda::list_gpus().empty()) GTEST_SKIP() << "this machine has a GPU of its own";
  EXPECT_FALSE(hardware_description("cuda:0", "bf16", 1).at("gpu").contains("name"));
  for (const char* name : {"/libcuda.so.1", "/libnvidia-ml.so.1"}) {  // found under these names from here on
    ASSERT_NE(::dlopen((STRIATE_GIVEN_DRIVER + std::string(name)).c_str(), RTLD_NOW), nullptr) << ::dlerror();
  }
  const nlohmann::json gpu = hardware_description("cuda:1", "bf16", 1).at("gpu");
  EXPECT_EQ(gpu.at("name"), "NVIDIA T4");
  EXPECT_EQ(gpu.at("memory_bytes"), 16'000'000'000);
  EXPECT_EQ(gpu.at("compute_capability"), "7.5");
  EXPECT_EQ(gpu.at("driver"), "580.65.06 (CUDA 13.0)");
  EXPECT_EQ(gpu.at("cuda"), cuda_runtime_version());
  EXPECT_EQ(gpu.at("cudnn"), cudnn_version());
}

// The composed forms judge as the CPU's function does: they run on a GPU that has no kernels of ours.
TEST(OptimizerOps, ComposedJudgementsAreThoseOfTheLoops) {
  const at::Tensor gradients = values({100'000}) * 3.0;
  const at::Tensor infinite = at::full({1}, std::numeric_limits<double>::infinity(), at::kDouble);
  for (const double max_norm : {0.0, 1.0, 1e6}) {
    for (const at::Tensor& losses : {at::zeros({0}, at::kDouble), at::ones({2}, at::kDouble), infinite}) {
      at::Tensor step = at::full({kStepSlots}, 4.0, at::kDouble), composed_step = step.clone();
      judge_gradients(step, square_sums(gradients), losses, max_norm, {});
      composed::judge_gradients(composed_step, composed::square_sums(gradients), losses, max_norm, {});
      const bool applied = losses.numel() == 0 || losses[0].item<double>() == 1.0;
      EXPECT_EQ(step[kStepApplied].item<double>(), applied ? 1.0 : 0.0);
      EXPECT_EQ(step[kStepUpdates].item<double>(), applied ? 5.0 : 4.0);
      const std::int64_t known = applied ? kStepSlots : kStepUpdates + 1;
      EXPECT_TRUE(at::allclose(step.slice(0, 0, known), composed_step.slice(0, 0, known), 1e-12, 0.0));
      if (applied) {
        const at::Tensor wanted = wanted_step(step[kStepFactor].item<double>(), 5, {});
        EXPECT_TRUE(at::equal(step.slice(0, 1), wanted.slice(0, 1)));
      }
    }
  }
}

}  // namespace
}  // namespace striate
