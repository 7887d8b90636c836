// The operators on a GPU, where there is one, against the CPU's loops.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <string>

#include "striate/cuda/gpu_kernels.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/optimizer_ops.h"
#include "striate/tensor/train_ops.h"

namespace striate {
namespace {

#define STRIATE_REQUIRE_GPU() \
  if (!at::hasCUDA()) GTEST_SKIP() << "this test needs a GPU and a CUDA build of LibTorch"

const at::Device kGpu(at::kCUDA, 0);

at::Tensor drawn(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType dtype = at::kFloat) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed)).to(dtype);
}

void expect_same(const at::Tensor& gpu, const at::Tensor& cpu, double tolerance, const std::string& what) {
  const at::Tensor g = gpu.cpu().to(at::kDouble), c = cpu.to(at::kDouble);
  EXPECT_LE(((g - c).abs() / (c.abs() + 1.0)).max().item<double>(), tolerance) << what;
}

TEST(OnGpu, OwnKernelsAreThere) {
  STRIATE_REQUIRE_GPU();
  EXPECT_NE(cuda::gpu_kernels(kGpu).runner, nullptr) << cuda::gpu_kernels(kGpu).description;
}

TEST(OnGpu, OperationsAreThoseOfTheCpu) {
  STRIATE_REQUIRE_GPU();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const double tolerance = dtype == at::kFloat ? 5e-6 : 1.0 / 64;
    for (const std::int64_t width : {7, 131, 4096}) {
      const at::Tensor x = drawn({67, width}, 1, dtype), y = drawn({67, width}, 2, dtype), weight = drawn({width}, 3);
      const at::Tensor gx = x.to(kGpu), gy = y.to(kGpu), gweight = weight.to(kGpu);
      const auto both = add_rms_norm(x, y, weight, 1e-5), gboth = add_rms_norm(gx, gy, gweight, 1e-5);
      expect_same(gboth.sum, both.sum, 0.0, "sum");
      expect_same(gboth.normed, both.normed, tolerance, "added norm");
      expect_same(rms_norm(gx, gweight, 1e-5), rms_norm(x, weight, 1e-5), tolerance, "norm");
      const at::Tensor dx = x.clone(), gdx = gx.clone();
      add_rms_norm_gradient(dx, y, x, weight, 1e-5);
      add_rms_norm_gradient(gdx, gy, gx, gweight, 1e-5);
      expect_same(gdx, dx, 2 * tolerance, "norm's gradient");
      expect_same(rms_norm_weight_gradient(gy, gx, 1e-5), rms_norm_weight_gradient(y, x, 1e-5), 1e-4, "weight");
      expect_same(silu_multiply(gx, gy), silu_multiply(x, y), tolerance, "gate");
      expect_same(quick_gelu(gx), quick_gelu(x), tolerance, "quick_gelu");
      const at::Tensor keys = at::arange(67, at::kLong);
      expect_same(dropout(gx, {0.1, 5, keys.to(kGpu)}), dropout(x, {0.1, 5, keys}), 0.0, "dropout");
      const at::Tensor targets = at::arange(67, at::kLong).remainder(width), logits = x.clone(), glogits = gx.clone();
      const at::Tensor nll = cross_entropy_in_place(logits, targets, 0.5);
      expect_same(cross_entropy_in_place(glogits, targets.to(kGpu), 0.5), nll, 5e-6, "nll");
      expect_same(glogits, logits, tolerance, "cross-entropy's gradient");
      const at::Tensor gate = x.clone(), up = y.clone(), ggate = gx.clone(), gup = gy.clone();
      silu_multiply_backward(gate, up, x);
      silu_multiply_backward(ggate, gup, gx);
      expect_same(ggate, gate, 2 * tolerance, "gate's gradient");
      expect_same(gup, up, 2 * tolerance, "up's gradient");
    }
    const at::Tensor heads = drawn({33, 4, 96}, 4, dtype), angles = drawn({33, 48}, 5), gheads = heads.to(kGpu);
    rotate_heads(heads, angles.cos(), angles.sin());
    rotate_heads(gheads, angles.cos().to(kGpu), angles.sin().to(kGpu));
    expect_same(gheads, heads, tolerance, "rotary");
  }
}

TEST(OnGpu, OptimiserStepsAreThoseOfTheCpu) {
  STRIATE_REQUIRE_GPU();
  const std::int64_t count = 100'003;
  AdamWState cpu{drawn({count}, 1),
                 at::zeros({count}),
                 at::zeros({count}),
                 at::empty({count}, at::kBFloat16),
                 at::empty({count}),
                 {70'001, count},
                 {0, 1}};
  AdamWState gpu = cpu;
  for (at::Tensor* tensor : {&gpu.values, &gpu.first, &gpu.second, &gpu.rounded, &gpu.gradients}) {
    *tensor = tensor->to(kGpu);
  }
  const AdamWSettings settings{{0.01, 0.1}, {0.1, 0.0}, {}, 1e-8};
  at::Tensor step = at::zeros({kStepSlots}, at::kDouble), gstep = step.to(kGpu);
  const at::Tensor none = at::empty({0}, at::kDouble);
  for (std::uint64_t number = 0; number < 3; ++number) {
    cpu.gradients.copy_(drawn({count}, 10 + number));
    gpu.gradients.copy_(cpu.gradients);
    judge_gradients(step, square_sums(cpu.gradients), none, 1.0, {});
    judge_gradients(gstep, square_sums(gpu.gradients), none.to(kGpu), 1.0, {});
    adamw_in_place(cpu, step, settings);
    adamw_in_place(gpu, gstep, settings);
  }
  expect_same(gstep, step, 1e-9, "step");
  expect_same(gpu.values, cpu.values, 1e-6, "values");
  EXPECT_TRUE(at::equal(gpu.rounded, gpu.values.to(at::kBFloat16)));
}

}  // namespace
}  // namespace striate
