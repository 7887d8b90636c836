// Every kernel, launched as on a GPU but in the emulator, against the CPU's loops and LibTorch's operators.
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

#include "striate/cuda/launchers.h"
#include "striate/tensor/composed_ops.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/train_ops.h"
#include "tests/support/emulator/emulated_kernels.h"

namespace striate {
namespace {

using emulated::EmulatedKernels;
using emulated::Order;

constexpr double kEps = 1e-5;

// fp32, and bf16 at its own precision; widths that fill accesses of 16 bytes and others, shorter and longer than one
// round of 256 threads.
struct Case {
  at::ScalarType dtype;
  double tolerance;
};
const Case kCases[] = {{at::kFloat, 2e-6}, {at::kBFloat16, 1.0 / 128}};
const std::int64_t kWidths[] = {1, 7, 64, 131, 1000, 2056, 3001};

at::Tensor random(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType dtype = at::kFloat) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed)).to(dtype);
}

// A tensor with the values of `x` inside a larger one, whose other elements no kernel may write: `intact` tells.
struct Framed {
  static constexpr std::int64_t kMargin = 64;
  at::Tensor whole, inside, frame;

  explicit Framed(const at::Tensor& x) {
    whole = at::full({x.numel() + 2 * kMargin}, -77.0, x.options());
    inside = whole.slice(0, kMargin, kMargin + x.numel()).view(x.sizes());
    inside.copy_(x);
    frame = at::cat({whole.slice(0, 0, kMargin), whole.slice(0, kMargin + x.numel())});
  }
  bool intact() const {
    return at::equal(frame, at::cat({whole.slice(0, 0, kMargin), whole.slice(0, kMargin + inside.numel())}));
  }
};

// |got - want| <= tolerance (1 + |want|) everywhere.
void expect_close(const at::Tensor& got, const at::Tensor& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.sizes(), want.sizes()) << what;
  ASSERT_EQ(got.scalar_type(), want.scalar_type()) << what;
  const at::Tensor g = got.to(at::kDouble), w = want.to(at::kDouble);
  EXPECT_LE(((g - w).abs() / (w.abs() + 1.0)).max().item<double>(), tolerance) << what;
}

std::string name_of(const Case& c, std::int64_t width) {
  return std::string(c.dtype == at::kFloat ? "fp32" : "bf16") + ", width " + std::to_string(width);
}

TEST(Kernels, NormsAreThoseOfTheLoops) {
  for (const Case& c : kCases) {
    for (const std::int64_t width : kWidths) {
      const std::string name = name_of(c, width);
      const at::Tensor x = random({5, width}, 1, c.dtype), delta = random({5, width}, 2, c.dtype);
      const at::Tensor weight = random({width}, 3);
      EmulatedKernels runner;
      expect_close(cuda::rms_norm(runner, x, weight, kEps), rms_norm(x, weight, kEps), c.tolerance, name);
      const auto [sum, normed] = cuda::add_rms_norm(runner, x, delta, weight, kEps);
      EXPECT_TRUE(at::equal(sum, x + delta)) << name;
      expect_close(normed, rms_norm(sum, weight, kEps), c.tolerance, name);
      // Rows apart from each other, as slices of a wider tensor are; 3 elements apart, nothing is aligned.
      for (const std::int64_t apart : {3, 8}) {
        const at::Tensor wide = random({5, width + apart}, 4, c.dtype);
        const at::Tensor part = wide.slice(1, apart);
        expect_close(cuda::rms_norm(runner, part, weight, kEps), rms_norm(part, weight, kEps), c.tolerance, name);
      }
    }
  }
}

TEST(Kernels, GradientsOfNormsAreThoseOfTheLoops) {
  for (const Case& c : kCases) {
    for (const std::int64_t width : kWidths) {
      const std::string name = name_of(c, width);
      const at::Tensor x = random({70, width}, 1, c.dtype), dy = random({70, width}, 2, c.dtype);
      const at::Tensor weight = random({width}, 3), before = random({70, width}, 4, c.dtype);
      EmulatedKernels runner;
      const at::Tensor expected = before.clone();
      add_rms_norm_gradient(expected, dy, x, weight, kEps);
      const Framed dx(before);
      cuda::add_rms_norm_gradient(runner, dx.inside, dy, x, weight, kEps);
      // A width of 1 has hardly a gradient: two large terms that cancel.
      expect_close(dx.inside, expected, width == 1 ? 1e-2 : 2 * c.tolerance, name);
      EXPECT_TRUE(dx.intact()) << name;
      expect_close(cuda::rms_norm_weight_gradient(runner, dy, x, kEps),
                   rms_norm_weight_gradient(dy.to(at::kDouble), x.to(at::kDouble), kEps).to(at::kFloat), 1e-5, name);
    }
  }
}

TEST(Kernels, RotationIsThatOfTheLoopsAndItsGradientTurnsBack) {
  for (const Case& c : kCases) {
    for (const std::int64_t dim : {2, 6, 64, 80, 96, 128}) {
      const std::string name = name_of(c, dim);
      const at::Tensor angles = random({9, dim / 2}, 1);
      const at::Tensor cos = angles.cos(), sin = angles.sin();
      // Heads inside a fused row of queries, keys and values.
      const at::Tensor fused = random({9, 5, dim}, 2, c.dtype);
      const at::Tensor expected = fused.clone();
      rotate_heads(expected.slice(1, 1, 4), cos, sin);
      const Framed turned(fused);
      EmulatedKernels runner;
      cuda::rotate_heads(runner, turned.inside.slice(1, 1, 4), cos, sin, 1.0);
      expect_close(turned.inside, expected, c.tolerance, name);
      EXPECT_TRUE(turned.intact()) << name;
      EXPECT_TRUE(at::equal(turned.inside.slice(1, 0, 1), fused.slice(1, 0, 1))) << name;
      rotate_heads_back(expected.slice(1, 1, 4), cos, sin);
      cuda::rotate_heads(runner, turned.inside.slice(1, 1, 4), cos, sin, -1.0);
      expect_close(turned.inside, expected, 2 * c.tolerance, name);
    }
  }
}

TEST(Kernels, ActivationsAreThoseOfTheLoops) {
  for (const Case& c : kCases) {
    for (const std::int64_t width : kWidths) {
      const std::string name = name_of(c, width);
      // Larger than silu's exponential can take in fp32, too.
      const at::Tensor both = random({4, 2 * width}, 1, c.dtype) * 30.0, dy = random({4, width}, 2, c.dtype);
      const at::Tensor gate = both.slice(1, 0, width), up = both.slice(1, width);
      EmulatedKernels runner;
      expect_close(cuda::silu_multiply(runner, gate, up), silu_multiply(gate, up), 2 * c.tolerance, name);
      expect_close(cuda::quick_gelu(runner, both), quick_gelu(both), 2 * c.tolerance, name);
      const at::Tensor expected = both.clone();
      silu_multiply_backward(expected.slice(1, 0, width), expected.slice(1, width), dy);
      const Framed gradient(both);
      cuda::silu_multiply_backward(runner, gradient.inside.slice(1, 0, width), gradient.inside.slice(1, width), dy);
      expect_close(gradient.inside, expected, 4 * c.tolerance, name);
      EXPECT_TRUE(gradient.intact()) << name;
    }
  }
}

TEST(Kernels, MasksAndResultsOfDropoutAreTheCpusBitForBit) {
  for (const Case& c : kCases) {
    for (const std::int64_t width : kWidths) {
      for (const double probability : {0.05, 0.5}) {
        const std::string name = name_of(c, width);
        const at::Tensor x = random({6, width}, 1, c.dtype), before = random({6, width}, 2, c.dtype);
        const at::Tensor keys = random({6}, 3).mul(1e15).to(at::kLong);
        const DropoutMask mask{probability, 0xF123456789ABCDEFULL, keys};
        const DropoutDraw draw = dropout_draw(probability);
        const cuda::Mask drawn{keys, mask.key, draw.threshold, draw.scale};
        EmulatedKernels runner;
        const at::Tensor dropped = dropout(x, mask);
        EXPECT_TRUE(at::equal(cuda::dropout(runner, x, drawn), dropped)) << name;
        const at::Tensor expected = before.clone();
        add_dropout(expected, x, mask);
        const Framed sum(before);
        cuda::add_dropout(runner, sum.inside, x, drawn);
        // A loop of the CPU may round product and sum once.
        expect_close(sum.inside, expected, c.dtype == at::kFloat ? 2e-7 : c.tolerance, name);
        EXPECT_TRUE(at::equal(sum.inside.masked_select(dropped.eq(0)), before.masked_select(dropped.eq(0)))) << name;
        EXPECT_TRUE(sum.intact()) << name;
      }
    }
  }
}

TEST(Kernels, CrossEntropyAndItsGradientAreThoseOfTheLoops) {
  for (const Case& c : kCases) {
    for (const std::int64_t width : kWidths) {
      const std::string name = name_of(c, width);
      const at::Tensor logits = random({6, width}, 1).mul(5.0).to(c.dtype);
      const at::Tensor targets = at::arange(6, at::kLong).mul(width).div(6, "floor");
      const at::Tensor expected = logits.clone();
      const at::Tensor nll = cross_entropy_in_place(expected, targets, 0.25);
      const Framed gradient(logits);
      EmulatedKernels runner;
      expect_close(cuda::cross_entropy_in_place(runner, gradient.inside, targets, 0.0), nll, 2e-6, name);
      EXPECT_TRUE(at::equal(gradient.inside, logits)) << name;
      expect_close(cuda::cross_entropy_in_place(runner, gradient.inside, targets, 0.25), nll, 2e-6, name);
      expect_close(gradient.inside, expected, c.tolerance, name);
      EXPECT_TRUE(gradient.intact()) << name;
    }
  }
}

TEST(Kernels, InfinitiesAndNotANumberInLogitsGoWhereTheLoopsSendThem) {
  const float infinity = std::numeric_limits<float>::infinity();
  const at::Tensor logits = random({4, 700}, 1);
  logits.select(0, 0).fill_(-infinity);
  logits[0][3] = 1.0F;  // alone of its row
  logits[1].slice(0, 0, 256).fill_(-infinity);
  logits[2][5] = std::nanf("");
  logits[3][5] = infinity;
  const at::Tensor targets = at::full({4}, 3, at::kLong);
  targets[1] = 300;
  const at::Tensor expected = logits.clone();
  const at::Tensor nll = cross_entropy_in_place(expected, targets, 1.0);
  EmulatedKernels runner;
  const at::Tensor got = cuda::cross_entropy_in_place(runner, logits, targets, 1.0);
  EXPECT_TRUE(at::allclose(got.slice(0, 0, 2), nll.slice(0, 0, 2), 1e-5, 1e-6)) << got << nll;
  EXPECT_TRUE(got.slice(0, 2).isnan().all().item<bool>());
  EXPECT_TRUE(nll.slice(0, 2).isnan().all().item<bool>());
  EXPECT_TRUE(at::allclose(logits.slice(0, 0, 2), expected.slice(0, 0, 2), 1e-5, 1e-6));
}

TEST(Kernels, TheOrderOfThreadsChangesNoBit) {
  std::vector<at::Tensor> first;
  for (const Order order : emulated::kOrders) {
    EmulatedKernels runner(order);
    const at::Tensor x = random({40, 517}, 1), dy = random({40, 517}, 2), weight = random({517}, 3);
    const auto [sum, normed] = cuda::add_rms_norm(runner, x, dy, weight, kEps);
    std::vector<at::Tensor> results = {cuda::rms_norm(runner, x, weight, kEps),
                                       sum,
                                       normed,
                                       cuda::rms_norm_weight_gradient(runner, dy, x, kEps),
                                       x.clone(),
                                       x.clone()};
    cuda::add_rms_norm_gradient(runner, results[4], dy, x, weight, kEps);
    results.push_back(cuda::cross_entropy_in_place(runner, results[5], at::arange(40, at::kLong), 0.5));
    results.push_back(cuda::square_sums(runner, x));
    if (first.empty()) first = results;
    for (std::size_t i = 0; i < results.size(); ++i) EXPECT_TRUE(at::equal(first[i], results[i])) << i;
  }
}

TEST(Kernels, NoRowsAreNoLaunch) {
  EmulatedKernels runner;
  EXPECT_EQ(cuda::rms_norm(runner, at::empty({0, 8}), at::ones({8}), kEps).sizes(), at::IntArrayRef({0, 8}));
  EXPECT_EQ(cuda::cross_entropy_in_place(runner, at::empty({0, 8}), at::empty({0}, at::kLong), 1.0).numel(), 0);
  EXPECT_TRUE(
      at::equal(cuda::rms_norm_weight_gradient(runner, at::empty({0, 8}), at::empty({0, 8}), kEps), at::zeros({8})));
}

}  // namespace
}  // namespace striate
