// Every instruction set's loops against plain LibTorch operations in fp64.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/matrix.h"
#include "striate/tensor/storage.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

constexpr std::array kStorages = {at::kFloat, at::kBFloat16, at::kHalf};

// The largest difference, in units of the larger magnitude.
double relative_error(const at::Tensor& got, const at::Tensor& want) {
  const at::Tensor wide = want.to(at::kDouble);
  const double scale = std::max(1e-6, wide.numel() > 0 ? wide.abs().max().item<double>() : 0.0);
  return got.numel() == 0 ? 0.0 : (got.to(at::kDouble) - wide).abs().max().item<double>() / scale;
}

// The largest difference of got from x W^T + b, in units of the largest |x| |w| of a row of each: a sum may cancel to
// nearly nothing, its rounding does not.
double product_error(const at::Tensor& got, const at::Tensor& x, const at::Tensor& weight,
                     const at::Tensor& bias = {}) {
  if (got.numel() == 0) return 0.0;
  const at::Tensor rows = x.to(at::kDouble);
  const at::Tensor columns = weight.to(at::kDouble).t();
  at::Tensor want = at::matmul(rows, columns);
  if (bias.defined()) want = want + bias;
  const double scale = rows.norm(2, 1).max().item<double>() * columns.norm(2, 0).max().item<double>();
  const double widest = bias.defined() ? scale + bias.abs().max().item<double>() : scale;
  return (got.to(at::kDouble) - want).abs().max().item<double>() / widest;
}

double tolerance(at::ScalarType dtype) {
  return dtype == at::kFloat ? 2e-6 : 5e-3;
}

// The same numbers in every run, whichever tests are chosen.
class Seed : public testing::Environment {
  void SetUp() override { at::manual_seed(20261123); }
};
const testing::Environment* const kSeed = testing::AddGlobalTestEnvironment(new Seed);

class Kernels : public testing::TestWithParam<const CpuKernels*> {};

TEST_P(Kernels, SkinnyProductsEqualTheReferenceAtOddSizesAndAddresses) {
  for (const at::ScalarType dtype : kStorages) {
    for (const std::int64_t columns : {1, 7, 16, 31, 64, 100, 1031}) {
      for (std::int64_t tokens = 1; tokens <= kMaxSkinnyTokens; ++tokens) {
        constexpr std::int64_t kRows = 5;
        const at::Tensor weight = at::randn({kRows, columns}).to(dtype);
        // One element off every larger alignment, as a file may place it.
        std::vector<std::byte> bytes(weight.nbytes() + weight.element_size());
        std::byte* const placed = bytes.data() + weight.element_size();
        std::memcpy(placed, weight.const_data_ptr(), weight.nbytes());
        const at::Tensor x = at::randn({tokens, columns});
        at::Tensor y = at::zeros({tokens, kRows});
        GetParam()->skinny_product({placed, storage_of(weight), x.const_data_ptr<float>(), y.data_ptr<float>(), columns,
                                    tokens, kRows, 0, kRows});
        EXPECT_LE(product_error(y, x, weight), 1e-6) << dtype << " " << columns << " columns, " << tokens << " tokens";
      }
    }
  }
}

TEST_P(Kernels, RowProductsEqualTheReferenceAtOddSizesAndStrides) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t columns : {1, 7, 16, 31, 513, 1031, 4096}) {
      constexpr std::int64_t kRows = 3;
      const at::Tensor a = (at::randn({kRows, columns + 2}) * 100).to(dtype);
      const at::Tensor b = at::randn({kRows, columns + 5}).to(dtype);
      at::Tensor got = at::zeros({kRows, 3}, at::kDouble);
      GetParam()->row_products({a.const_data_ptr(), b.const_data_ptr(), got.data_ptr<double>(), storage_of(a), columns,
                                a.stride(0), b.stride(0), 0, kRows});
      const at::Tensor x = a.slice(1, 0, columns).to(at::kDouble);
      const at::Tensor y = b.slice(1, 0, columns).to(at::kDouble);
      const at::Tensor want = at::stack({(x * y).sum(1), x.square().sum(1), y.square().sum(1)}, 1);
      // A dot product may cancel; its rounding follows the norms.
      const at::Tensor scale =
          at::stack({(want.select(1, 1) * want.select(1, 2)).sqrt(), want.select(1, 1), want.select(1, 2)}, 1);
      EXPECT_LE(((got - want).abs() / scale).max().item<double>(), 1e-6) << dtype << " " << columns;
    }
  }
}

TEST_P(Kernels, WideningIsExactForEveryBitPattern) {
  at::Tensor bits = at::arange(65536, at::kInt).to(at::kShort);
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const at::Tensor values = bits.view(dtype);
    at::Tensor wide = at::empty({65536});
    GetParam()->widen(values.const_data_ptr(), storage_of(values), wide.data_ptr<float>(), values.numel());
    const at::Tensor want = values.to(at::kFloat);
    EXPECT_TRUE(at::equal(wide.isnan(), want.isnan()));
    EXPECT_TRUE(at::equal(wide.nan_to_num(0.0), want.nan_to_num(0.0)));
  }
}

TEST_P(Kernels, NarrowingRoundsAsLibTorchDoes) {
  const at::Tensor every_half = at::arange(65536, at::kInt).to(at::kShort).view(at::kHalf);
  for (const at::Tensor& values : {every_half, at::randn({1003}) * 1e3}) {
    at::Tensor narrow = at::empty(values.sizes(), at::kBFloat16);
    GetParam()->narrow(values.const_data_ptr(), storage_of(values),
                       static_cast<std::uint16_t*>(narrow.mutable_data_ptr()), values.numel());
    const at::Tensor want = values.to(at::kBFloat16);
    EXPECT_TRUE(at::equal(narrow.isnan(), want.isnan()));
    EXPECT_TRUE(at::equal(narrow.nan_to_num(), want.nan_to_num()));
  }
}

TEST_P(Kernels, QuickGeluHoldsOverTheWholeRangeAndKeepsNaN) {
  const at::Tensor x = at::cat({at::linspace(-120, 120, 4099), at::tensor({0.0F, -0.0F, 1e-30F, 300.0F, -300.0F})});
  at::Tensor y = at::empty_like(x);
  GetParam()->quick_gelu(x.const_data_ptr(), y.data_ptr(), Storage::kFloat32, 0, x.numel());
  const at::Tensor wide = x.to(at::kDouble);
  EXPECT_TRUE(at::allclose(y.to(at::kDouble), wide * at::sigmoid(wide * 1.702), 1e-5, 1e-6));
  at::Tensor nan = at::full({16}, std::numeric_limits<float>::quiet_NaN());
  GetParam()->quick_gelu(nan.const_data_ptr(), nan.data_ptr(), Storage::kFloat32, 0, 16);
  EXPECT_TRUE(nan.isnan().all().item<bool>());
}

TEST_P(Kernels, BFloat16ResultsRoundToNearestEven) {
  constexpr std::int64_t kHalf = 1031;
  const at::Tensor x = (at::randn({2 * kHalf}) * 100).to(at::kBFloat16);
  const at::Tensor cosine = at::randn({kHalf});
  const at::Tensor sine = at::zeros({kHalf});
  // A rotation without a sine is one fp32 product, rounded once by the store.
  const at::Tensor y = x.clone();
  GetParam()->rotate({y.data_ptr(), cosine.const_data_ptr<float>(), sine.const_data_ptr<float>(), Storage::kBFloat16, 1,
                      kHalf, 2 * kHalf, 2 * kHalf, 0, 1});
  EXPECT_TRUE(at::equal(y, (x.to(at::kFloat) * at::cat({cosine, cosine})).to(at::kBFloat16)));
}

INSTANTIATE_TEST_SUITE_P(ThisCpu, Kernels, testing::ValuesIn(runnable_cpu_kernels()),
                         [](const auto& info) { return std::string(info.param->name); });

// fp16 has no loop: these are the operators that a GPU runs.
TEST(RowProducts, ComposedOperatorsEqualTheReference) {
  const at::Tensor a = at::randn({5, 1031}).to(at::kHalf);
  const at::Tensor b = at::randn({5, 1031}).to(at::kHalf);
  const at::Tensor x = a.to(at::kDouble);
  const at::Tensor y = b.to(at::kDouble);
  const at::Tensor got = row_products(a, b);
  EXPECT_EQ(got.scalar_type(), at::kDouble);
  EXPECT_LE(relative_error(got, at::stack({(x * y).sum(1), x.square().sum(1), y.square().sum(1)}, 1)), 1e-6);
}

TEST(FrozenMatrix, EqualsTheReferenceForEveryTypeAndNumberOfTokens) {
  for (const at::ScalarType dtype : kStorages) {
    for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16}) {
      for (const std::int64_t tokens : {0, 1, 2, 3, 7, 8, 9, 33, 130}) {
        for (const auto& [out, in] : {std::pair<std::int64_t, std::int64_t>{1, 40}, {67, 129}, {300, 4100}}) {
          for (const bool with_bias : {false, true}) {
            const at::Tensor weight = (at::randn({out, in}) / std::sqrt(static_cast<double>(in))).to(dtype);
            const at::Tensor bias = with_bias ? at::randn({out}) : at::Tensor();
            const at::Tensor x = at::randn({tokens, in}).to(compute_dtype(compute));
            const at::Tensor got = FrozenMatrix(weight, bias).multiply(x, compute);
            ASSERT_EQ(got.scalar_type(), compute_dtype(compute));
            // bf16 compute rounds an fp32 or fp16 weight to bf16 when many tokens go through matrix products.
            const double bound = compute == Compute::kFloat32 ? 1e-6 : 8e-3;
            EXPECT_LE(product_error(got, x, weight, bias), bound)
                << dtype << ", " << compute_name(compute) << ", " << tokens << " x " << in << " -> " << out;
          }
        }
      }
    }
  }
}

TEST(FrozenMatrix, EqualsTheReferenceOverSeveralConvertedBlocks) {
  const at::Tensor weight = (at::randn({1400, 4100}) / 64).to(at::kHalf);
  for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16}) {
    const at::Tensor x = at::randn({600, 4100}).to(compute_dtype(compute));
    EXPECT_LE(product_error(FrozenMatrix(weight).multiply(x, compute), x, weight),
              compute == Compute::kFloat32 ? 1e-6 : 8e-3);
  }
}

TEST(FrozenMatrix, TakesInputsWhoseRowsAreNotDense) {
  const at::Tensor weight = at::randn({20, 30}).to(at::kBFloat16);
  for (const std::int64_t tokens : {3, 40}) {
    const at::Tensor x = at::randn({30, tokens}).t();
    EXPECT_LE(product_error(FrozenMatrix(weight).multiply(x, Compute::kFloat32), x, weight), 1e-6);
  }
}

TEST(FrozenMatrix, TheNumberOfThreadsDoesNotChangeASkinnyProduct) {
  const FrozenMatrix matrix(at::randn({513, 1030}).to(at::kBFloat16));
  const at::Tensor x = at::randn({1, 1030});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = matrix.multiply(x, Compute::kFloat32);
  at::set_num_threads(2);
  const at::Tensor two = matrix.multiply(x, Compute::kFloat32);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, two));
}

TEST(FrozenMatrix, EachTokenOfASkinnyProductIsTheSameAlone) {
  for (const at::ScalarType dtype : kStorages) {
    const FrozenMatrix matrix(at::randn({37, 1031}).to(dtype), at::randn({37}));
    const at::Tensor x = at::randn({kMaxSkinnyTokens, 1031});
    const at::Tensor alone = matrix.multiply(x.slice(0, 5, 6), Compute::kFloat32);
    for (std::int64_t tokens = 6; tokens <= kMaxSkinnyTokens; ++tokens) {
      const at::Tensor together = matrix.multiply(x.slice(0, 0, tokens), Compute::kFloat32);
      EXPECT_TRUE(at::equal(together.slice(0, 5, 6), alone)) << tokens;
    }
  }
}

TEST(FrozenMatrix, TakesAnyNumberOfLeadingDimensions) {
  const FrozenMatrix matrix(at::randn({20, 30}).to(at::kBFloat16), at::randn({20}));
  for (const std::int64_t tokens : {0, 2, 40}) {
    const at::Tensor x = at::randn({1, tokens, 30});
    const at::Tensor want = matrix.multiply(x.view({tokens, 30}), Compute::kFloat32);
    EXPECT_TRUE(at::equal(matrix.multiply(x, Compute::kFloat32), want.view({1, tokens, 20})));
  }
}

TEST(FrozenMatrix, AnotherWidthOfXIsRefused) {
  EXPECT_ERROR(FrozenMatrix(at::randn({20, 30})).multiply(at::randn({2, 29}), Compute::kFloat32),
               "times a frozen matrix");
}

class FusedOps : public testing::TestWithParam<at::ScalarType> {};

TEST_P(FusedOps, RmsNormEqualsItsDefinition) {
  const at::Tensor x = (at::randn({37, 203}) * 5).to(GetParam());
  const at::Tensor weight = at::randn({203});
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor want = wide / (wide.square().mean(-1, true) + 1e-5).sqrt() * weight;
  EXPECT_LE(relative_error(rms_norm(x, weight, 1e-5), want), tolerance(GetParam()));
  EXPECT_LE(relative_error(rms_norm(x.t().contiguous().t(), weight, 1e-5), want), tolerance(GetParam()));
}

TEST_P(FusedOps, SiluMultiplyTakesSlicesOfAFusedTensor) {
  const at::Tensor both = (at::randn({19, 2 * 77}) * 4).to(GetParam());
  const at::Tensor gate = both.slice(1, 0, 77), up = both.slice(1, 77);
  const at::Tensor want = at::silu(gate.to(at::kDouble)) * up.to(at::kDouble);
  EXPECT_LE(relative_error(silu_multiply(gate, up), want), tolerance(GetParam()));
}

TEST_P(FusedOps, RotateHeadsRotatesPairsHalfAHeadApart) {
  const at::Tensor x = at::randn({11, 3 * 2 * 20}).to(GetParam()).slice(1, 20, 80).unflatten(1, {3, 20});
  const at::Tensor angles = at::randn({11, 10});
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor a = wide.slice(2, 0, 10), b = wide.slice(2, 10);
  const at::Tensor c = angles.cos().unsqueeze(1), s = angles.sin().unsqueeze(1);
  const at::Tensor want = at::cat({a * c - b * s, b * c + a * s}, 2);
  rotate_heads(x, angles.cos(), angles.sin());
  EXPECT_LE(relative_error(x, want), tolerance(GetParam()));
  rotate_heads(wide, angles.cos(), angles.sin());  // fp64 has no loop: the composed form
  EXPECT_LE(relative_error(wide, want), 1e-5);
}

TEST_P(FusedOps, QuickGeluEqualsItsDefinition) {
  const at::Tensor x = (at::randn({5, 333}) * 6).to(GetParam());
  const at::Tensor wide = x.to(at::kDouble);
  EXPECT_LE(relative_error(quick_gelu(x), wide * at::sigmoid(1.702 * wide)), tolerance(GetParam()));
}

TEST_P(FusedOps, DecodeAttentionEqualsASoftmaxOverEachSequencesCache) {
  for (const std::int64_t dim : {8, 36, 128}) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(dim));
    const at::Tensor q = at::randn({4, 6, dim}).to(GetParam());
    std::vector<CachedTokens> sequences;
    std::vector<at::Tensor> want;
    for (const auto& [begin, end] : {std::pair{0, 1}, {0, 5}, {3, 64}, {200, 301}}) {
      sequences.push_back(
          {at::randn({2, 310, dim}).to(GetParam()), at::randn({2, 310, dim}).to(GetParam()), begin, end});
      const auto counted = [&, first = begin, last = end](const at::Tensor& cache) {
        return cache.slice(1, first, last).to(at::kDouble).repeat_interleave(3, 0);
      };
      const at::Tensor query = q.select(0, static_cast<std::int64_t>(want.size())).to(at::kDouble);
      const at::Tensor scores = at::matmul(counted(sequences.back().keys), query.unsqueeze(2)).squeeze(2) * scale;
      want.push_back(at::matmul(at::softmax(scores, 1).unsqueeze(1), counted(sequences.back().values)).squeeze(1));
    }
    EXPECT_LE(relative_error(decode_attention(q, sequences, scale), at::stack(want)), tolerance(GetParam()));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, FusedOps, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

}  // namespace
}  // namespace striate
