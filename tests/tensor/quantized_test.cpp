// Weights in 8 and 4 bits: codes, round trips, products and gradients, against what dequantised weights give in fp32.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/tensor/composed_ops.h"
#include "striate/tensor/fp8_product.h"
#include "striate/tensor/matrix.h"
#include "striate/tensor/nf4.h"
#include "striate/tensor/quantized_matrix.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"

namespace striate {
namespace {

constexpr FrozenPrecision kQuantized[] = {FrozenPrecision::kInt8, FrozenPrecision::kFp8, FrozenPrecision::kNf4};

at::Tensor drawn(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed));
}

at::Tensor read_back(const at::Tensor& weight, FrozenPrecision precision) {
  return QuantizedMatrix(weight, precision, "w").dequantized(at::kFloat);
}

std::string hex(const at::Tensor& bytes) {
  const at::Tensor on_cpu = bytes.cpu().contiguous();
  const auto* data = static_cast<const std::uint8_t*>(on_cpu.const_data_ptr());
  std::string text;
  for (std::size_t i = 0; i < on_cpu.nbytes(); ++i) {
    text += "0123456789abcdef"[data[i] >> 4];
    text += "0123456789abcdef"[data[i] & 15];
  }
  return text;
}

// As make_nf4.py makes it.
at::Tensor matrix_of_case(std::int64_t rows, std::int64_t columns) {
  const at::Tensor i = at::arange(rows * columns, at::kLong);
  const at::Tensor size = i.div(64, "floor").remainder(7) + i.div(4096, "floor").remainder(3) + 1;
  return (((i * i * 31 + i * 7).remainder(1021) - 510) * size).to(at::kFloat).div(8192.0).view({rows, columns});
}

TEST(Nf4, LevelsAndCodesAreThoseOfTheAuthorsLibrary) {
  const auto reference = nlohmann::json::parse(read_file(test::testdata("nf4.json")));
  for (std::size_t i = 0; i < nf4::kLevels.size(); ++i) {
    EXPECT_EQ(nf4::kLevels[i], reference["levels"][i].get<float>()) << i;
  }
  for (std::size_t i = 0; i < nf4::scale_levels().size(); ++i) {
    EXPECT_EQ(nf4::scale_levels()[i], reference["scale_levels"][i].get<float>()) << i;
  }
  for (const auto& c : reference["cases"]) {
    const auto rows = c["rows"].get<std::int64_t>(), columns = c["columns"].get<std::int64_t>();
    SCOPED_TRACE(cat(rows, " x ", columns));
    const QuantizedMatrix matrix(matrix_of_case(rows, columns), FrozenPrecision::kNf4, "w");
    EXPECT_EQ(hex(matrix.codes()), c["codes"].get<std::string>());
    EXPECT_EQ(hex(matrix.scales()), c["scales"].get<std::string>());
    const at::Tensor numbers = matrix.coarse().slice(0, 16 + 256);
    EXPECT_NEAR(numbers[0].item<float>(), c["mean"].get<float>(), 1e-7);
    ASSERT_EQ(numbers.numel(), static_cast<std::int64_t>(c["coarse"].size()) + 1);
    for (std::size_t i = 0; i < c["coarse"].size(); ++i) {
      EXPECT_NEAR(numbers[static_cast<std::int64_t>(i) + 1].item<float>(), c["coarse"][i].get<float>(), 2e-7);
    }
  }
}

TEST(Nf4, CodesOfAFewNumbersAreTheNearestLevelsOfThePapersTable) {
  // Divided by 2: -1, -0.7, -0.5, 0.01, 0.04, 0.3, 0.65, 1. Nearest: -1 (0), -0.6962 (1), -0.5251 (2), 0 (7),
  // 0.0796 (8; the middle between it and 0 is 0.0398), 0.3379 (11), 0.7230 (14), 1 (15).
  const at::Tensor weight = at::tensor({-2.0, -1.4, -1.0, 0.02, 0.08, 0.6, 1.3, 2.0}, at::kFloat).view({1, 8});
  const QuantizedMatrix matrix(weight, FrozenPrecision::kNf4, "w");
  EXPECT_EQ(hex(matrix.codes()), "01278bef");
  // One block: its largest value is the mean, and what is left of it is 0, which is level 127.
  EXPECT_EQ(hex(matrix.scales()), "7f");
  const at::Tensor back = matrix.dequantized(at::kFloat);
  for (const auto& [at, level] : {std::pair{0, 0}, {1, 1}, {2, 2}, {3, 7}, {4, 8}, {5, 11}, {6, 14}, {7, 15}}) {
    EXPECT_EQ(back[0][at].item<float>(), 2.0F * nf4::kLevels[static_cast<std::size_t>(level)]) << at;
  }
}

TEST(Quantized, RoundTripsStayWithinTheFormatsBounds) {
  const at::Tensor weight = drawn({50, 192}, 1) * 0.05;
  const at::Tensor largest = weight.abs().amax(1, true);
  // Half a step of 1/127 of the row's largest value.
  EXPECT_TRUE(
      ((read_back(weight, FrozenPrecision::kInt8) - weight).abs() <= largest * (0.501 / 127)).all().item<bool>());
  // e4m3 has 4 significant bits, and steps of 2^-9 below 2^-6; the largest value is 448.
  const at::Tensor fp8 = (read_back(weight, FrozenPrecision::kFp8) - weight).abs();
  EXPECT_TRUE((fp8 <= at::maximum(weight.abs() / 15.9, largest * (0.501 / 512 / 448))).all().item<bool>());
  // Half the widest gap between levels (0.3038 of the block's largest value), and the error of that value.
  const at::Tensor blocks = weight.view({-1, 64});
  const at::Tensor nf4 = (read_back(weight, FrozenPrecision::kNf4).view({-1, 64}) - blocks).abs();
  EXPECT_TRUE((nf4 <= blocks.abs().amax(1, true) * 0.152 + 1e-3).all().item<bool>());
  // On the whole the error is what the formats are known for.
  const auto relative = [&](FrozenPrecision p) {
    return ((read_back(weight, p) - weight).norm() / weight.norm()).item<double>();
  };
  EXPECT_LT(relative(FrozenPrecision::kInt8), 0.01);
  EXPECT_LT(relative(FrozenPrecision::kFp8), 0.03);
  EXPECT_LT(relative(FrozenPrecision::kNf4), 0.10);
}

TEST(Quantized, ZeroesRowsOfZeroesAndTheSmallestNumbersStayFinite) {
  for (const FrozenPrecision precision : kQuantized) {
    const at::Tensor zeroes = at::zeros({3, 128});
    EXPECT_TRUE(at::equal(read_back(zeroes, precision), zeroes)) << frozen_precision_name(precision);
    const at::Tensor tiny = at::full({2, 65}, 1e-44, at::kFloat);
    EXPECT_TRUE(read_back(tiny, precision).isfinite().all().item<bool>()) << frozen_precision_name(precision);
  }
}

TEST(Quantized, ValuesThatAreNotFiniteAreRefusedByName) {
  for (const FrozenPrecision precision : kQuantized) {
    for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
      const at::Tensor weight = drawn({4, 70}, 1);
      weight[3][69] = bad;
      EXPECT_ERROR(QuantizedMatrix(weight, precision, "model.layers.2.mlp.up_proj.weight"),
                   "model.layers.2.mlp.up_proj.weight has values that are not finite");
    }
  }
}

TEST(Quantized, AnyRowsAreReadInBothTypesOnEveryDevice) {
  for (const FrozenPrecision precision : kQuantized) {
    for (const std::int64_t columns : {1, 3, 64, 77, 1031}) {
      SCOPED_TRACE(cat(frozen_precision_name(precision), ", ", columns, " columns"));
      const QuantizedMatrix matrix(drawn({9, columns}, 2).to(at::kBFloat16), precision, "w");
      const at::Tensor all = matrix.dequantized(at::kFloat);
      const QuantizedMatrix there = matrix.to(test::other_device());
      EXPECT_TRUE(at::equal(there.dequantized(at::kFloat).cpu(), all));
      for (const std::int64_t first : {0, 1, 5}) {
        const at::Tensor part = at::empty({3, columns}, at::TensorOptions(at::kBFloat16));
        matrix.dequantize(first, part);
        EXPECT_TRUE(at::equal(part, all.slice(0, first, first + 3).to(at::kBFloat16))) << first;
        const at::Tensor composed = at::empty_like(part);
        composed::dequantize(matrix.codes(), matrix.scales(), matrix.coarse(), first, composed);
        EXPECT_TRUE(at::equal(part, composed)) << first;
        const at::Tensor device_part = at::empty({3, columns}, part.options().device(there.device()));
        there.dequantize(first, device_part);
        EXPECT_TRUE(at::equal(device_part.cpu(), part)) << first;
      }
    }
  }
}

TEST(Quantized, BytesAreThoseThatThePlanCounts) {
  for (const FrozenPrecision precision : kQuantized) {
    for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{200, 96}, {13, 77}, {3, 5}}) {
      EXPECT_EQ(QuantizedMatrix(drawn({rows, columns}, 3), precision, "w").bytes(),
                quantized_bytes(precision, rows, columns));
    }
  }
  // 4 bits and 8 / 64 + 32 / (64 * 256) more, as the paper has it (0.127).
  EXPECT_NEAR(8.0 * static_cast<double>(quantized_bytes(FrozenPrecision::kNf4, 4096, 11008)) / (4096.0 * 11008), 4.127,
              0.001);
}

TEST(Quantized, RowsRoundedToFp8AreTheNearestAndSayWhenTheyAreNotFinite) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = (drawn({7, 130}, 4) * 3.0).to(dtype);
    const QuantizedRows rows = quantize_rows(x);
    const at::Tensor scales = x.to(at::kFloat).abs().amax(1, true).div(448.0);
    EXPECT_TRUE(at::equal(rows.scales, scales));
    const at::Tensor codes = x.to(at::kFloat).div(scales).to(at::kFloat8_e4m3fn);
    EXPECT_TRUE(at::equal(rows.codes.to(at::kFloat), codes.to(at::kFloat)));
    EXPECT_TRUE(at::equal(rounded_rows(x), (codes.to(at::kFloat) * scales).to(dtype)));
    const at::Tensor bad = x.clone();
    bad[2][5] = INFINITY;
    EXPECT_TRUE(rounded_rows(bad)[2].isnan().all().item<bool>());
    EXPECT_TRUE(at::equal(rounded_rows(bad)[3], rounded_rows(x)[3]));
    const QuantizedRows composed = composed::quantize_rows(x);
    EXPECT_TRUE(at::equal(composed.codes.to(at::kFloat), rows.codes.to(at::kFloat)));
  }
}

// x W^T + b and dy W in fp64 of the dequantised weight; fp8 rounds x, too.
struct Expected {
  at::Tensor y, dx;
  double y_size, dx_size;  // of the sums without signs: they may cancel, their rounding does not
};
Expected expected(const QuantizedMatrix& matrix, const at::Tensor& bias, const at::Tensor& x, const at::Tensor& dy) {
  const at::Tensor weight = matrix.to(at::kCPU).dequantized(at::kFloat).to(at::kDouble);
  const at::Tensor input = matrix.precision() == FrozenPrecision::kFp8 ? rounded_rows(x) : x;
  const at::Tensor wide = input.to(at::kDouble), gradient = dy.to(at::kDouble);
  const auto size = [](const at::Tensor& a, const at::Tensor& b) {
    return at::matmul(a.abs(), b.abs()).norm().item<double>();
  };
  return {at::matmul(wide, weight.t()) + bias, at::matmul(gradient, weight),
          size(wide, weight.t()) + bias.expand({x.size(0), -1}).norm().item<double>(), size(gradient, weight)};
}

double distance(const at::Tensor& got, const at::Tensor& want) {
  return (got.cpu().to(at::kDouble) - want).norm().item<double>();
}

TEST(QuantizedProducts, AreThoseOfTheDequantisedWeightOnEveryDevice) {
  std::uint64_t seed = 10;
  for (const at::Device device : {at::Device(at::kCPU), test::other_device()}) {
    for (const FrozenPrecision precision : kQuantized) {
      for (const auto& [out, in] : {std::pair<std::int64_t, std::int64_t>{96, 64}, {33, 77}, {1, 5}, {300, 1040}}) {
        for (const std::int64_t tokens : {1, 8, 9, 70}) {
          for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16}) {
            SCOPED_TRACE(cat(device.str(), ", ", frozen_precision_name(precision), " [", out, ", ", in, "], ", tokens,
                             " tokens, ", compute_name(compute)));
            const QuantizedMatrix made(drawn({out, in}, ++seed) * 0.05, precision, "w");
            const auto matrix = std::make_shared<const QuantizedMatrix>(made.to(device));
            const at::Tensor bias = drawn({out}, ++seed);
            const at::Tensor x = drawn({tokens, in}, ++seed).to(compute_dtype(compute));
            const at::Tensor dy = drawn({tokens, out}, ++seed).to(compute_dtype(compute));
            const Expected want = expected(made, bias, x, dy);
            const FrozenMatrix frozen(matrix, bias.to(device));
            const double tolerance = compute == Compute::kFloat32 ? 1e-6 : 6e-3;  // three roundings of 2^-9
            EXPECT_LE(distance(frozen.multiply(x.to(device), compute), want.y), tolerance * want.y_size);
            EXPECT_LE(distance(frozen.input_gradient(dy.to(device), compute), want.dx), tolerance * want.dx_size);
            const at::Tensor before = drawn({tokens, in}, ++seed).to(compute_dtype(compute));
            const at::Tensor sum = before.to(device, before.scalar_type(), false, true);
            EXPECT_LE(distance(frozen.input_gradient(dy.to(device), compute, sum), want.dx + before),
                      tolerance * (want.dx_size + before.norm().item<double>()));
          }
        }
      }
    }
  }
}

TEST(QuantizedProducts, InHardwareAreTriedWhereTheShapeAllowsThem) {
  const at::Device device = test::other_device();
  if (device.is_cuda()) GTEST_SKIP() << "which GPU this is decides it";
  const QuantizedMatrix matrix(drawn({32, 48}, 1), FrozenPrecision::kFp8, "w");
  const at::Tensor x = drawn({4, 48}, 2).to(at::kBFloat16);
  EXPECT_TRUE(multiplies_fp8(x.to(device), matrix.to(device)));
  EXPECT_FALSE(multiplies_fp8(x, matrix));
  EXPECT_FALSE(multiplies_fp8(x.to(device).to(at::kFloat), matrix.to(device)));
  EXPECT_FALSE(
      multiplies_fp8(x.to(device), QuantizedMatrix(drawn({31, 48}, 1), FrozenPrecision::kFp8, "w").to(device)));
}

TEST(QuantizedProducts, EachTokenOfFewIsTheSameAlone) {
  for (const FrozenPrecision precision : kQuantized) {
    const FrozenMatrix matrix(std::make_shared<const QuantizedMatrix>(drawn({131, 517}, 1), precision, "w"));
    const at::Tensor x = drawn({8, 517}, 2);
    const at::Tensor together = matrix.multiply(x, Compute::kFloat32);
    for (std::int64_t token = 0; token < 8; ++token) {
      EXPECT_TRUE(at::equal(matrix.multiply(x.slice(0, token, token + 1), Compute::kFloat32)[0], together[token]));
    }
  }
}

TEST(QuantizedProducts, TheStoredWeightIsNotToBeHad) {
  const FrozenMatrix matrix(std::make_shared<const QuantizedMatrix>(drawn({4, 8}, 1), FrozenPrecision::kInt8, "w"));
  EXPECT_TRUE(matrix.is_quantized());
  EXPECT_ERROR(matrix.weight(), "the stored weight of a quantised matrix");
}

}  // namespace
}  // namespace striate
