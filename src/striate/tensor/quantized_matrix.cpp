#include "striate/tensor/quantized_matrix.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/nf4.h"
#include "striate/tensor/operators.h"
#include "striate/tensor/parallel.h"
#include "striate/tensor/quantized_loops.h"
#include "striate/tensor/storage.h"

namespace striate {
namespace {

constexpr std::int64_t kChunk = 1 << 16;  // elements that one parallel task converts at least

// Where QuantizedMatrix::coarse() has what: the levels of elements, those of scales, the scales' mean, and the rest.
constexpr std::int64_t kScaleLevels = 16;
constexpr std::int64_t kScaleMean = kScaleLevels + 256;

std::int64_t blocks_of(std::int64_t elements, std::int64_t block) {
  return (elements + block - 1) / block;
}

std::int64_t row_grain(std::int64_t columns) {
  return std::max<std::int64_t>(1, kChunk / std::max<std::int64_t>(1, columns));
}

// The place of element `first` of a dense tensor.
const std::byte* place_in(const at::Tensor& dense, std::int64_t first) {
  return static_cast<const std::byte*>(dense.const_data_ptr()) + first * dense.element_size();
}

// quantize(row in fp32, its codes, its scale) over the rows; false where one of them has failed.
template <typename Code>
bool quantize_each_row(const at::Tensor& dense, Code* codes, float* scales,
                       bool (*quantize)(const float*, std::int64_t, Code*, float*)) {
  const std::int64_t columns = dense.size(1);
  std::atomic<bool> finite = true;
  parallel_ranges(dense.size(0), row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> wide(static_cast<std::size_t>(columns));
    for (std::int64_t row = begin; row < end; ++row) {
      cpu_kernels().widen(place_in(dense, row * columns), storage_of(dense), wide.data(), columns);
      if (!quantize(wide.data(), columns, codes + row * columns, scales + row)) finite = false;
    }
  });
  return finite;
}

// The largest values of blocks, quantised in their turn: codes [blocks] uint8, and what QuantizedMatrix::coarse() is.
void quantize_scales(const std::vector<float>& largest, std::uint8_t* codes, float* coarse) {
  double sum = 0;
  for (const float value : largest) sum += static_cast<double>(value);
  const auto mean = static_cast<float>(sum / static_cast<double>(std::max<std::size_t>(1, largest.size())));
  coarse = std::copy(nf4::kLevels.begin(), nf4::kLevels.end(), coarse);
  coarse = std::copy(nf4::scale_levels().begin(), nf4::scale_levels().end(), coarse);
  *coarse++ = mean;
  for (std::size_t first = 0; first < largest.size(); first += nf4::kScalesBlock, ++coarse) {
    const std::size_t end = std::min(first + nf4::kScalesBlock, largest.size());
    *coarse = 0.0F;
    for (std::size_t i = first; i < end; ++i) *coarse = std::max(*coarse, std::fabs(largest[i] - mean));
    const float inverse = *coarse == 0.0F ? 0.0F : 1.0F / *coarse;
    for (std::size_t i = first; i < end; ++i) {
      codes[i] = nf4::nearest_scale_level(std::clamp((largest[i] - mean) * inverse, -1.0F, 1.0F));
    }
  }
}

// False where a value is not finite.
bool quantize_nf4(const at::Tensor& dense, std::uint8_t* packed, std::vector<float>& largest) {
  const std::int64_t count = dense.numel();
  std::atomic<bool> finite = true;
  const auto blocks = static_cast<std::int64_t>(largest.size());
  parallel_ranges(blocks, kChunk / nf4::kBlock, [&](std::int64_t begin, std::int64_t end) {
    std::array<float, nf4::kBlock> wide{};
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * nf4::kBlock;
      const std::int64_t here = std::min(nf4::kBlock, count - first);
      cpu_kernels().widen(place_in(dense, first), storage_of(dense), wide.data(), here);
      if (!quantize_block_nf4(wide.data(), here, packed + first / 2, &largest[static_cast<std::size_t>(block)])) {
        finite = false;
      }
    }
  });
  return finite;
}

// y(first, count, where) in fp32, into `to` from element 0 on, a few columns at a time where they are narrowed.
template <typename Read>
void fill(const at::Tensor& to, std::int64_t columns, Read read) {
  constexpr std::int64_t kPiece = 512;
  parallel_ranges(to.size(0), row_grain(columns), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      if (to.scalar_type() == at::kFloat) {
        read(row, std::int64_t{0}, columns, to.mutable_data_ptr<float>() + row * columns);
        continue;
      }
      std::array<float, kPiece> piece{};
      auto* out = static_cast<std::uint16_t*>(to.mutable_data_ptr()) + row * columns;
      for (std::int64_t at = 0; at < columns; at += kPiece) {
        const std::int64_t count = std::min(kPiece, columns - at);
        read(row, at, count, piece.data());
        cpu_kernels().narrow(piece.data(), Storage::kFloat32, out + at, count);
      }
    }
  });
}

}  // namespace

std::string frozen_precision_name(FrozenPrecision precision) {
  switch (precision) {
    case FrozenPrecision::kStored:
      return "bf16";
    case FrozenPrecision::kInt8:
      return "int8";
    case FrozenPrecision::kFp8:
      return "fp8";
    case FrozenPrecision::kNf4:
      return "nf4";
  }
  throw internal_error("a precision without a name");
}

std::int64_t quantized_bytes(FrozenPrecision precision, std::int64_t rows, std::int64_t columns) {
  switch (precision) {
    case FrozenPrecision::kStored:
      break;
    case FrozenPrecision::kInt8:
    case FrozenPrecision::kFp8:
      return rows * columns + 4 * rows;
    case FrozenPrecision::kNf4: {
      const std::int64_t blocks = blocks_of(rows * columns, nf4::kBlock);
      return blocks_of(rows * columns, 2) + blocks + 4 * (kScaleMean + 1 + blocks_of(blocks, nf4::kScalesBlock));
    }
  }
  throw internal_error("the bytes of a matrix that is not quantised");
}

QuantizedMatrix::QuantizedMatrix(const at::Tensor& weight, FrozenPrecision precision, const std::string& name)
    : precision_(precision), rows_(weight.size(0)), columns_(weight.size(1)) {
  const at::Tensor dense = weight.contiguous();
  bool finite = true;
  coarse_ = at::empty({0}, at::TensorOptions(at::kFloat));
  if (precision == FrozenPrecision::kNf4) {
    std::vector<float> largest(static_cast<std::size_t>(blocks_of(dense.numel(), nf4::kBlock)));
    const auto blocks = static_cast<std::int64_t>(largest.size());
    codes_ = at::empty({blocks_of(dense.numel(), 2)}, at::TensorOptions(at::kByte));
    scales_ = at::empty({blocks}, at::TensorOptions(at::kByte));
    coarse_ = at::empty({kScaleMean + 1 + blocks_of(blocks, nf4::kScalesBlock)}, at::TensorOptions(at::kFloat));
    finite = quantize_nf4(dense, codes_.mutable_data_ptr<std::uint8_t>(), largest);
    if (finite) {
      quantize_scales(largest, scales_.mutable_data_ptr<std::uint8_t>(), coarse_.mutable_data_ptr<float>());
    }
  } else if (precision == FrozenPrecision::kInt8 || precision == FrozenPrecision::kFp8) {
    const bool int8 = precision == FrozenPrecision::kInt8;
    codes_ = at::empty({rows_, columns_}, at::TensorOptions(int8 ? at::kChar : at::kFloat8_e4m3fn));
    scales_ = at::empty({rows_}, at::TensorOptions(at::kFloat));
    auto* scales = scales_.mutable_data_ptr<float>();
    finite = int8 ? quantize_each_row(dense, codes_.mutable_data_ptr<std::int8_t>(), scales, quantize_row_int8)
                  : quantize_each_row(dense, static_cast<std::uint8_t*>(codes_.mutable_data_ptr()), scales,
                                      quantize_row_fp8);
  } else {
    throw internal_error("a quantised matrix that is not quantised");
  }
  if (!finite) {
    throw corrupt_data(cat("tensor ", name, " has values that are not finite, which ", frozen_precision_name(precision),
                           " cannot hold"),
                       "check the model's files; `frozen_precision` bf16 takes the weights as they are");
  }
}

QuantizedMatrix QuantizedMatrix::to(at::Device device) const {
  QuantizedMatrix moved = *this;
  moved.codes_ = codes_.to(device);
  moved.scales_ = scales_.to(device);
  moved.coarse_ = coarse_.to(device);
  return moved;
}

void QuantizedMatrix::dequantize(std::int64_t first, const at::Tensor& to) const {
  if (to.dim() != 2 || to.size(1) != columns_ || first < 0 || first + to.size(0) > rows_ || !to.is_contiguous()) {
    throw internal_error(cat("rows from ", first, " of a matrix [", rows_, ", ", columns_, "] into ", to.sizes()));
  }
  if (codes_.is_cpu()) return dequantize_on_cpu(codes_, scales_, coarse_, first, to);
  operators::dequantize(codes_, scales_, coarse_, first, to);
}

at::Tensor QuantizedMatrix::dequantized(at::ScalarType dtype) const {
  at::Tensor all = at::empty({rows_, columns_}, codes_.options().dtype(dtype));
  dequantize(0, all);
  return all;
}

std::int64_t QuantizedMatrix::bytes() const {
  return static_cast<std::int64_t>(codes_.nbytes() + scales_.nbytes() + coarse_.nbytes());
}

QuantizedRows quantize_rows(const at::Tensor& x) {
  if (x.is_cpu()) return quantize_rows_on_cpu(x);
  auto [codes, scales] = operators::quantize_rows(x);
  return {codes, scales};
}

at::Tensor rounded_rows(const at::Tensor& x) {
  const QuantizedRows rows = quantize_rows(x);
  at::Tensor rounded = at::empty(x.sizes(), x.options());
  if (x.is_cpu()) {
    dequantize_on_cpu(rows.codes, rows.scales, {}, 0, rounded);
  } else {
    operators::dequantize(rows.codes, rows.scales, at::empty({0}, rows.scales.options()), 0, rounded);
  }
  return rounded;
}

void dequantize_on_cpu(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse, std::int64_t first,
                       const at::Tensor& to) {
  const std::int64_t columns = to.size(1);
  const std::int64_t offset = first * columns;
  if (codes.scalar_type() == at::kByte) {
    const auto* numbers = coarse.const_data_ptr<float>();
    const Nf4Codes matrix{codes.const_data_ptr<std::uint8_t>(), scales.const_data_ptr<std::uint8_t>(),
                          numbers + kScaleLevels, numbers[kScaleMean], numbers + kScaleMean + 1};
    return fill(to, columns, [&](std::int64_t row, std::int64_t at, std::int64_t count, float* out) {
      dequantize_nf4(matrix, offset + row * columns + at, count, out);
    });
  }
  const auto* bytes = static_cast<const std::uint8_t*>(codes.const_data_ptr()) + offset;
  const float* scale = scales.const_data_ptr<float>() + first;
  const bool int8 = codes.scalar_type() == at::kChar;
  fill(to, columns, [&](std::int64_t row, std::int64_t at, std::int64_t count, float* out) {
    const std::uint8_t* here = bytes + row * columns + at;
    if (int8) return dequantize_int8(reinterpret_cast<const std::int8_t*>(here), count, scale[row], out);
    dequantize_fp8(here, count, scale[row], out);
  });
}

// Rows that are not finite have a scale that is not, so that a run sees it.
QuantizedRows quantize_rows_on_cpu(const at::Tensor& x) {
  const at::Tensor dense = x.contiguous();
  QuantizedRows rows{at::empty(x.sizes(), x.options().dtype(at::kFloat8_e4m3fn)),
                     at::empty({x.size(0), 1}, x.options().dtype(at::kFloat))};
  auto* scales = rows.scales.mutable_data_ptr<float>();
  const auto quantize = [](const float* row, std::int64_t columns, std::uint8_t* codes, float* scale) {
    if (quantize_row_fp8(row, columns, codes, scale)) return true;
    *scale = NAN;
    std::fill_n(codes, columns, std::uint8_t{0});
    return false;
  };
  quantize_each_row<std::uint8_t>(dense, static_cast<std::uint8_t*>(rows.codes.mutable_data_ptr()), scales, quantize);
  return rows;
}

}  // namespace striate
