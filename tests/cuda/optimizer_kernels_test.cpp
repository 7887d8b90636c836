// The optimiser's kernels in the emulator against LibTorch's fused AdamW.
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <limits>

#include "striate/cuda/launchers.h"
#include "striate/tensor/optimizer_ops.h"
#include "tests/support/emulator/emulated_kernels.h"

namespace striate {
namespace {

using emulated::EmulatedKernels;

at::Tensor random_vector(std::int64_t count, std::uint64_t seed) {
  return at::randn({count}, at::make_generator<at::CPUGeneratorImpl>(seed));
}

// Ranges of uneven sizes with three kinds of settings.
struct Flat {
  AdamWState state;
  AdamWSettings settings;
  at::Tensor step;

  Flat(std::int64_t count, std::int64_t ranges, bool rounded) {
    state = {random_vector(count, 1),
             at::zeros({count}),
             at::zeros({count}),
             at::empty({rounded ? count : 0}, at::kBFloat16),
             at::empty({count}),
             {},
             {}};
    for (std::int64_t r = 1; r <= ranges; ++r) {
      state.ends.push_back(r == ranges ? count : count * r / ranges - (r % 3));
      state.kinds.push_back(r % 3);
    }
    settings.rates = {0.01, 0.1, 0.0};
    settings.decays = {0.1, 0.0, 0.3};
    step = at::zeros({kStepSlots}, at::kDouble);
  }
};

void step_on_cpu(const Flat& flat, double max_norm) {
  judge_gradients(flat.step, square_sums(flat.state.gradients), at::empty({0}, at::kDouble), max_norm, {});
  adamw_in_place(flat.state, flat.step, flat.settings);
}

void step_by_kernels(EmulatedKernels& runner, const Flat& flat, double max_norm,
                     const at::Tensor& losses = at::empty({0}, at::kDouble)) {
  const AdamWState& s = flat.state;
  const Betas betas = flat.settings.betas;
  cuda::judge_gradients(runner, flat.step, cuda::square_sums(runner, s.gradients), losses, max_norm, betas.first,
                        betas.second);
  cuda::adamw_in_place(
      runner, {s.values, s.first, s.second, s.rounded, s.gradients, flat.step},
      {s.ends, s.kinds, flat.settings.rates, flat.settings.decays, betas.first, betas.second, flat.settings.eps});
}

TEST(OptimizerKernels, StepsAreThoseOfLibTorchsFusedAdamW) {
  for (const std::int64_t count : {1, 4099, 70'001}) {
    for (const bool rounded : {false, true}) {
      Flat expected(count, count == 1 ? 1 : 5, rounded), got(count, count == 1 ? 1 : 5, rounded);
      EmulatedKernels runner;
      for (std::uint64_t number = 1; number <= 3; ++number) {
        const double max_norm = number == 2 ? 0.0 : 1.0;
        expected.state.gradients.copy_(random_vector(count, 10 + number) * 3.0);
        got.state.gradients.copy_(expected.state.gradients);
        step_on_cpu(expected, max_norm);
        step_by_kernels(runner, got, max_norm);
        EXPECT_TRUE(at::allclose(got.step, expected.step, 1e-12, 0.0)) << got.step << expected.step;
        EXPECT_TRUE(at::allclose(got.state.values, expected.state.values, 1e-6, 1e-7));
        EXPECT_TRUE(at::allclose(got.state.first, expected.state.first, 1e-5, 1e-8));
        EXPECT_TRUE(at::allclose(got.state.second, expected.state.second, 1e-5, 1e-10));
        EXPECT_TRUE(!rounded || at::equal(got.state.rounded, got.state.values.to(at::kBFloat16)));
      }
      EXPECT_EQ(runner.launched().size(), 9U);
    }
  }
}

TEST(OptimizerKernels, ManyRangesTakeFourLaunchesAtMost) {
  const std::int64_t count = 30'011;
  Flat expected(count, 400, true), got(count, 400, true);
  expected.state.gradients.copy_(random_vector(count, 3));
  got.state.gradients.copy_(expected.state.gradients);
  step_on_cpu(expected, 1.0);
  EmulatedKernels runner;
  step_by_kernels(runner, got, 1.0);
  EXPECT_TRUE(at::allclose(got.state.values, expected.state.values, 1e-6, 1e-7));
  EXPECT_EQ(runner.launched().size(), 4U);
}

TEST(OptimizerKernels, NothingChangesWhereAGradientOrALossIsNotFinite) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Flat flat(5000, 3, true);
    flat.state.gradients.copy_(random_vector(5000, 1));
    EmulatedKernels runner;
    step_by_kernels(runner, flat, 1.0);
    const at::Tensor before = flat.state.values.clone(), moment = flat.state.second.clone();
    flat.state.gradients[4711] = bad;
    step_by_kernels(runner, flat, 1.0);
    EXPECT_EQ(flat.step[kStepApplied].item<double>(), 0.0);
    flat.state.gradients[4711] = 1.0;
    step_by_kernels(runner, flat, 1.0, at::full({3}, bad, at::kDouble));
    EXPECT_EQ(flat.step[kStepApplied].item<double>(), 0.0);
    EXPECT_EQ(flat.step[kStepUpdates].item<double>(), 1.0);
    EXPECT_TRUE(at::equal(flat.state.values, before));
    EXPECT_TRUE(at::equal(flat.state.second, moment));
    // Large gradients are finite, whatever their squares are.
    flat.state.gradients[4711] = kLargest;
    step_by_kernels(runner, flat, 1.0, at::zeros({3}, at::kDouble));
    EXPECT_EQ(flat.step[kStepApplied].item<double>(), 1.0);
    EXPECT_EQ(flat.step[kStepUpdates].item<double>(), 2.0);
  }
}

}  // namespace
}  // namespace striate
