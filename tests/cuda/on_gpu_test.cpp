// The operators on a GPU, where there is one, against the CPU's loops; on the pretend device with
// STRIATE_TEST_DEVICE=pretend. STRIATE_ERROR_REPORT names a file to which each operator's largest errors are added, as
// JSON lines.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/cuda/gpu_kernels.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/matrix.h"
#include "striate/tensor/optimizer_ops.h"
#include "striate/tensor/quantized_matrix.h"
#include "striate/tensor/stream_attention.h"
#include "striate/tensor/train_ops.h"
#include "tests/support/test_device.h"

namespace striate {
namespace {

at::Device gpu() {
  return at::hasCUDA() ? at::Device(at::kCUDA, 0) : test::test_device();
}

#define STRIATE_REQUIRE_GPU() \
  if (gpu().is_cpu()) GTEST_SKIP() << "this test needs a GPU and a CUDA build of LibTorch"

at::Tensor drawn(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType dtype = at::kFloat) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed)).to(dtype);
}

struct LargestErrors {
  double absolute = 0;
  double relative = 0;  // to 1 + the CPU's value
};

// Of every comparison so far, by operator and type; written when the program ends.
class ErrorReport : public testing::Environment {
 public:
  void add(const std::string& what, const LargestErrors& errors) {
    LargestErrors& worst = worst_[what];
    worst.absolute = std::max(worst.absolute, errors.absolute);
    worst.relative = std::max(worst.relative, errors.relative);
  }
  void TearDown() override {
    const char* file = std::getenv("STRIATE_ERROR_REPORT");
    if (file == nullptr) return;
    std::ofstream out(file, std::ios::app);
    for (const auto& [what, errors] : worst_) {
      out << nlohmann::json{{"operator", what}, {"absolute", errors.absolute}, {"relative", errors.relative}} << '\n';
    }
  }

 private:
  std::map<std::string, LargestErrors> worst_;
};

ErrorReport& error_report() {
  static auto* report = dynamic_cast<ErrorReport*>(testing::AddGlobalTestEnvironment(new ErrorReport));
  return *report;
}
[[maybe_unused]] const ErrorReport& made_before_tests = error_report();

void expect_same(const at::Tensor& on_gpu, const at::Tensor& cpu, double tolerance, const std::string& what) {
  const at::Tensor g = on_gpu.cpu().to(at::kDouble), c = cpu.to(at::kDouble);
  const at::Tensor difference = (g - c).abs();
  const LargestErrors errors{difference.max().item<double>(), (difference / (c.abs() + 1.0)).max().item<double>()};
  error_report().add(what + ", " + c10::toString(on_gpu.scalar_type()), errors);
  EXPECT_LE(errors.relative, tolerance) << what;
}

TEST(OnGpu, OwnKernelsAreThere) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this test needs a GPU and a CUDA build of LibTorch";
  EXPECT_NE(cuda::gpu_kernels(gpu()).runner, nullptr) << cuda::gpu_kernels(gpu()).description;
}

TEST(OnGpu, OperationsAreThoseOfTheCpu) {
  STRIATE_REQUIRE_GPU();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const double tolerance = dtype == at::kFloat ? 5e-6 : 1.0 / 64;
    for (const std::int64_t width : {7, 131, 4096}) {
      const at::Tensor x = drawn({67, width}, 1, dtype), y = drawn({67, width}, 2, dtype), weight = drawn({width}, 3);
      const at::Tensor gx = x.to(gpu()), gy = y.to(gpu()), gweight = weight.to(gpu());
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
      expect_same(dropout(gx, {0.1, 5, keys.to(gpu())}), dropout(x, {0.1, 5, keys}), 0.0, "dropout");
      const at::Tensor targets = at::arange(67, at::kLong).remainder(width), logits = x.clone(), glogits = gx.clone();
      const at::Tensor nll = cross_entropy_in_place(logits, targets, 0.5);
      expect_same(cross_entropy_in_place(glogits, targets.to(gpu()), 0.5), nll, 5e-6, "nll");
      expect_same(glogits, logits, tolerance, "cross-entropy's gradient");
      const at::Tensor gate = x.clone(), up = y.clone(), ggate = gx.clone(), gup = gy.clone();
      silu_multiply_backward(gate, up, x);
      silu_multiply_backward(ggate, gup, gx);
      expect_same(ggate, gate, 2 * tolerance, "gate's gradient");
      expect_same(gup, up, 2 * tolerance, "up's gradient");
    }
    const at::Tensor heads = drawn({33, 4, 96}, 4, dtype), angles = drawn({33, 48}, 5), gheads = heads.to(gpu());
    rotate_heads(heads, angles.cos(), angles.sin());
    rotate_heads(gheads, angles.cos().to(gpu()), angles.sin().to(gpu()));
    expect_same(gheads, heads, tolerance, "rotary");
  }
}

// Frozen weights in fewer bits, read and multiplied.
TEST(OnGpu, QuantisedWeightsAreThoseOfTheCpu) {
  STRIATE_REQUIRE_GPU();
  for (const FrozenPrecision precision : {FrozenPrecision::kInt8, FrozenPrecision::kFp8, FrozenPrecision::kNf4}) {
    const std::string name = frozen_precision_name(precision);
    for (const std::int64_t columns : {77, 4096}) {
      const auto cpu = std::make_shared<QuantizedMatrix>(drawn({528, columns}, 1) * 0.02, precision, "w");
      const auto there = std::make_shared<QuantizedMatrix>(cpu->to(gpu()));
      for (const auto dtype : {at::kFloat, at::kBFloat16}) {
        expect_same(there->dequantized(dtype), cpu->dequantized(dtype), 0.0, name);
      }
      const at::Tensor x = drawn({67, columns}, 2, at::kBFloat16), dy = drawn({67, 528}, 3, at::kBFloat16);
      const at::Tensor y = FrozenMatrix(cpu).multiply(x.to(at::kFloat), Compute::kFloat32);
      const at::Tensor dx = FrozenMatrix(cpu).input_gradient(dy.to(at::kFloat), Compute::kFloat32);
      const FrozenMatrix ours(there);
      expect_same(ours.multiply(x.to(gpu()), Compute::kBFloat16), y, 1.0 / 16, name + " product");
      expect_same(ours.input_gradient(dy.to(gpu()), Compute::kBFloat16), dx, 1.0 / 16, name + " gradient");
    }
  }
}

// Flash attention in bf16 against the CPU's in fp32: heads of 128 and 96, grouped, windowed, samples of odd lengths.
TEST(OnGpu, AttentionIsThatOfTheCpu) {
  STRIATE_REQUIRE_GPU();
  for (const std::int64_t width : {128, 96}) {
    StreamShape shape;
    shape.bounds = {0, 61, 62, 200};
    if (width == 96) shape.window = 40;
    const at::Tensor q = drawn({200, 8, width}, 1, at::kBFloat16), k = drawn({200, 2, width}, 2, at::kBFloat16);
    const at::Tensor v = drawn({200, 2, width}, 3, at::kBFloat16), dout = drawn({200, 8, width}, 4, at::kBFloat16);
    const auto exact = [](const at::Tensor& tensor) { return tensor.to(at::kFloat); };
    const StreamAttentionResult cpu = stream_attention(exact(q), exact(k), exact(v), shape);
    const auto wanted = stream_attention_gradients(exact(dout), exact(q), exact(k), exact(v), cpu, shape);
    shape.on_device = device_bounds(shape.bounds, gpu());
    const at::Tensor gq = q.to(gpu()), gk = k.to(gpu()), gv = v.to(gpu());
    const StreamAttentionResult ours = stream_attention(gq, gk, gv, shape);
    const auto found = stream_attention_gradients(dout.to(gpu()), gq, gk, gv, ours, shape);
    expect_same(ours.out, cpu.out, 1.0 / 64, "attention");
    expect_same(found.dq, wanted.dq, 1.0 / 16, "attention's gradient of queries");
    expect_same(found.dk, wanted.dk, 1.0 / 16, "attention's gradient of keys");
    expect_same(found.dv, wanted.dv, 1.0 / 16, "attention's gradient of values");
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
  AdamWState ours = cpu;
  for (at::Tensor* tensor : {&ours.values, &ours.first, &ours.second, &ours.rounded, &ours.gradients}) {
    *tensor = tensor->to(gpu());
  }
  const AdamWSettings settings{{0.01, 0.1}, {0.1, 0.0}, {}, 1e-8};
  at::Tensor step = at::zeros({kStepSlots}, at::kDouble), gstep = step.to(gpu());
  const at::Tensor none = at::empty({0}, at::kDouble);
  for (std::uint64_t number = 0; number < 3; ++number) {
    cpu.gradients.copy_(drawn({count}, 10 + number));
    ours.gradients.copy_(cpu.gradients);
    judge_gradients(step, square_sums(cpu.gradients), none, 1.0, {});
    judge_gradients(gstep, square_sums(ours.gradients), none.to(gpu()), 1.0, {});
    adamw_in_place(cpu, step, settings);
    adamw_in_place(ours, gstep, settings);
  }
  expect_same(gstep, step, 1e-9, "step");
  expect_same(ours.values, cpu.values, 1e-6, "values");
  EXPECT_TRUE(at::equal(ours.rounded, ours.values.to(at::kBFloat16)));
}

}  // namespace
}  // namespace striate
