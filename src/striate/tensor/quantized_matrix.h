// Frozen weights in fewer bits than they were published in.
//
// A weight is quantised once, on the CPU while it is loaded, so that it has the same codes on every device. What
// computes with it reads blocks of rows in the type of the product.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace striate {

enum class FrozenPrecision {
  kStored,  // not quantised: as the file has it on the CPU, in the compute type on a GPU
  kInt8,    // 8-bit integers, one scale for each row (output): w = scale * code, code in [-127, 127]
  kFp8,     // e4m3, one scale for each row; the inputs of products are rounded to e4m3 with a scale for each token, too
  kNf4,     // nf4.h
};
inline constexpr FrozenPrecision kFrozenPrecisions[] = {FrozenPrecision::kStored, FrozenPrecision::kInt8,
                                                        FrozenPrecision::kFp8, FrozenPrecision::kNf4};

// "bf16", "int8", "fp8", "nf4".
std::string frozen_precision_name(FrozenPrecision precision);

// Bytes of a matrix [rows, columns] so quantised. Throws Internal for kStored.
std::int64_t quantized_bytes(FrozenPrecision precision, std::int64_t rows, std::int64_t columns);

class QuantizedMatrix {
 public:
  // Of `weight` [rows, columns] fp32, fp16 or bf16 on the CPU. Throws CorruptData, naming `name`, where a value is not
  // finite.
  QuantizedMatrix(const at::Tensor& weight, FrozenPrecision precision, const std::string& name);
  // The same on another device.
  QuantizedMatrix to(at::Device device) const;

  // Rows [first, first + to.size(0)) into `to` [n, columns], dense, fp32 or bf16, on the matrix's device. Values are
  // computed in fp32 and rounded once.
  void dequantize(std::int64_t first, const at::Tensor& to) const;
  // All rows in a tensor of their own.
  at::Tensor dequantized(at::ScalarType dtype) const;

  FrozenPrecision precision() const { return precision_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  at::Device device() const { return codes_.device(); }
  std::int64_t bytes() const;
  // int8 or e4m3 [rows, columns]; nf4: two codes a byte, the first in the upper half, [ceil(rows * columns / 2)] uint8.
  const at::Tensor& codes() const { return codes_; }
  // fp32 [rows]; nf4: a code for each block, [blocks] uint8.
  const at::Tensor& scales() const { return scales_; }
  // nf4: fp32, nf4::kLevels, nf4::scale_levels(), the blocks' mean, and the largest of every 256 blocks; else empty.
  const at::Tensor& coarse() const { return coarse_; }

 private:
  FrozenPrecision precision_;
  std::int64_t rows_, columns_;
  at::Tensor codes_, scales_, coarse_;
};

// Rows rounded to e4m3, each with a scale of its own: x = codes * scales.
struct QuantizedRows {
  at::Tensor codes;   // [tokens, columns] e4m3
  at::Tensor scales;  // [tokens, 1] fp32
};
// x [tokens, columns] fp32 or bf16.
QuantizedRows quantize_rows(const at::Tensor& x);
// x as these have it, in its own type.
at::Tensor rounded_rows(const at::Tensor& x);

// The loops of the CPU behind the operators of the same names (operators.h): for tensors on the CPU alone.
void dequantize_on_cpu(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse, std::int64_t first,
                       const at::Tensor& to);
QuantizedRows quantize_rows_on_cpu(const at::Tensor& x);

}  // namespace striate
