// Products with weights that never change.
//
// A FrozenMatrix keeps a weight in the type it was published in and multiplies in the compute type the machine is best
// at: bf16 where the hardware multiplies bf16 (AMX, AVX512-BF16, CUDA), else fp32 with the weight widened block by
// block.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "striate/tensor/quantized_matrix.h"

namespace striate {

enum class Compute { kFloat32, kBFloat16 };

// The compute type this machine is best at for `device`, found at run time (never at build time).
Compute best_compute(at::Device device = at::kCPU);
std::string compute_name(Compute compute);
at::ScalarType compute_dtype(Compute compute);

// What the CPU can do, for the start-up line: "AVX512, AMX bf16; 2 threads".
std::string cpu_description();

// Bytes of weight that a product converts at a time: the block stays in the cache between conversion and product, and
// is large enough for the product to run at its full rate.
inline constexpr std::int64_t kConvertedBytes = 8 << 20;

// A weight [out, in] and an optional bias [out]; no gradient can ever reach it.
class FrozenMatrix {
 public:
  FrozenMatrix() = default;
  // `weight` fp32, fp16 or bf16, kept as it is (a memory-mapped view stays one). Throws Internal on wrong ranks.
  FrozenMatrix(at::Tensor weight, at::Tensor bias = {});
  // A weight in fewer bits, dequantised a block at a time (on a GPU whole) ahead of each product. With fp8 weights the
  // rows of x are rounded to e4m3, too; where the hardware multiplies e4m3, products of bf16 take both as they are.
  explicit FrozenMatrix(std::shared_ptr<const QuantizedMatrix> weight, at::Tensor bias = {});

  // x [..., in] -> [..., out] in compute_dtype(compute): x W^T + b. Sums are fp32 inside; fp32 x is never rounded.
  // Up to 8 rows of x (decoding) stream the weight once through vector kernels that keep fp16 and fp32 weights whole;
  // each row's result then has the same bits for any other rows and any number of threads. More
  // rows go through blocked matrix products, whose results differ from those by the order of sums, and in bf16 compute
  // by the rounding of fp16 and fp32 weights to bf16.
  at::Tensor multiply(const at::Tensor& x, Compute compute) const;

  // The gradient of x: dy [tokens, out] -> dy W, [tokens, in] in compute_dtype(compute), added to `onto` in place where
  // that is defined (it is then what is returned). dy is never rounded to fewer bits: with a weight in fp8 it is the
  // gradient at the rounded x, as if rounding had the derivative 1.
  at::Tensor input_gradient(const at::Tensor& dy, Compute compute, at::Tensor onto = {}) const;

  std::int64_t in_features() const { return quantized_ ? quantized_->columns() : weight_.size(1); }
  std::int64_t out_features() const { return quantized_ ? quantized_->rows() : weight_.size(0); }
  bool is_quantized() const { return quantized_ != nullptr; }
  // Throws Internal for a quantised weight: what is written or trained comes from the file.
  const at::Tensor& weight() const;
  const at::Tensor& bias() const { return bias_; }
  bool defined() const { return weight_.defined() || is_quantized(); }

 private:
  at::Device device() const { return quantized_ ? quantized_->device() : weight_.device(); }
  // All of the weight, and rows from `first` on into dense `to`, in another type.
  at::Tensor weight_as(at::ScalarType dtype) const;
  void read_rows(std::int64_t first, const at::Tensor& to) const;
  at::Tensor device_product(const at::Tensor& x, at::ScalarType dtype) const;
  at::Tensor many_tokens(const at::Tensor& x, at::ScalarType dtype) const;
  at::Tensor few_tokens(const at::Tensor& x) const;

  at::Tensor weight_;  // undefined where `quantized_` is
  std::shared_ptr<const QuantizedMatrix> quantized_;
  at::Tensor bias_;
};

}  // namespace striate
