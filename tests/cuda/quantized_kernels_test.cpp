// The kernels that read frozen weights of 8 and 4 bits and round rows to e4m3, in the emulator, against the CPU's
// loops.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "striate/base/strings.h"
#include "striate/cuda/launchers.h"
#include "striate/tensor/quantized_matrix.h"
#include "tests/support/emulator/emulated_kernels.h"

namespace striate {
namespace {

using emulated::EmulatedKernels;
using emulated::Order;

at::Tensor draw_matrix(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed));
}

constexpr FrozenPrecision kQuantized[] = {FrozenPrecision::kInt8, FrozenPrecision::kFp8, FrozenPrecision::kNf4};

// Widths that fill accesses and others; nf4 over several chunks of 8192 elements, from rows that begin inside a byte.
TEST(QuantizedKernels, ReadTheBitsThatTheLoopsRead) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const FrozenPrecision precision : kQuantized) {
      for (const std::int64_t columns : {1, 7, 64, 131, 1000, 2056}) {
        const QuantizedMatrix matrix(draw_matrix({12, columns}, 1) * 0.05, precision, "w");
        for (const std::int64_t first : {0, 3}) {
          SCOPED_TRACE(cat(frozen_precision_name(precision), ", ", columns, " columns from row ", first));
          const at::Tensor expected = at::empty({9, columns}, at::TensorOptions(dtype));
          matrix.dequantize(first, expected);
          // Inside a larger tensor, whose other elements no kernel may write.
          const at::Tensor whole = at::full({9 * columns + 32}, -77.0, expected.options());
          const at::Tensor inside = whole.slice(0, 16, 16 + 9 * columns).view({9, columns});
          EmulatedKernels runner;
          cuda::dequantize(runner, matrix.codes(), matrix.scales(), matrix.coarse(), first, inside);
          EXPECT_TRUE(at::equal(inside, expected));
          EXPECT_TRUE(whole.slice(0, 0, 16).eq(-77.0).all().item<bool>());
          EXPECT_TRUE(whole.slice(0, 16 + 9 * columns).eq(-77.0).all().item<bool>());
        }
      }
    }
  }
}

TEST(QuantizedKernels, RoundRowsToTheCodesOfTheLoops) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const std::int64_t columns : {1, 7, 64, 131, 1000, 2056}) {
      SCOPED_TRACE(cat(c10::toString(dtype), ", ", columns, " columns"));
      // Large and small within a row, so that e4m3's smallest steps are there; a row of zeroes, and ones that are not
      // finite.
      at::Tensor x = draw_matrix({7, columns}, 2) * at::pow(10.0, draw_matrix({7, columns}, 3) * 2.0);
      x[4].zero_();
      x[5][columns / 2] = std::nanf("");
      x[6][columns - 1] = -INFINITY;
      x = x.to(dtype);
      const QuantizedRows expected = quantize_rows(x);
      for (const Order order : emulated::kOrders) {
        EmulatedKernels runner(order);
        const auto [codes, scales] = cuda::quantize_rows(runner, x);
        EXPECT_TRUE(at::equal(codes.view(at::kByte), expected.codes.view(at::kByte)));
        EXPECT_TRUE(at::equal(scales.nan_to_num(-1.0), expected.scales.nan_to_num(-1.0)));
        EXPECT_TRUE(scales.slice(0, 5).isnan().all().item<bool>());
      }
    }
  }
}

TEST(QuantizedKernels, EveryE4m3ValueIsReadAndFoundAgain) {
  // All finite values, scaled by their largest: the row's scale is 1.
  const at::Tensor bits = at::arange(256, at::kLong).to(at::kByte).view({1, 256});
  const at::Tensor values = bits.view(at::kFloat8_e4m3fn).to(at::kFloat).nan_to_num(0.0);
  EmulatedKernels runner;
  const auto [codes, scales] = cuda::quantize_rows(runner, values);
  EXPECT_EQ(scales.item<float>(), 1.0F);
  EXPECT_TRUE(at::equal(codes.to(at::kFloat), values));
  const at::Tensor back = at::empty_like(values);
  cuda::dequantize(runner, codes, scales, at::empty({0}), 0, back);
  EXPECT_TRUE(at::equal(back, values));
}

TEST(QuantizedKernels, NoRowsAreNoLaunch) {
  EmulatedKernels runner;
  const QuantizedMatrix matrix(draw_matrix({4, 8}, 1), FrozenPrecision::kNf4, "w");
  cuda::dequantize(runner, matrix.codes(), matrix.scales(), matrix.coarse(), 2, at::empty({0, 8}));
  EXPECT_EQ(std::get<0>(cuda::quantize_rows(runner, at::empty({0, 8}))).numel(), 0);
  EXPECT_TRUE(runner.launched().empty());
}

}  // namespace
}  // namespace striate
