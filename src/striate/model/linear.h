// The linears of a model: frozen by type, or frozen with a low-rank adapter.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "striate/tensor/matrix.h"

namespace striate {

// y = x W^T + b. x and y are [tokens, in] and [tokens, out] in compute_dtype(compute).
class Linear {
 public:
  virtual ~Linear() = default;
  virtual at::Tensor forward(const at::Tensor& x, Compute compute) const = 0;
  virtual std::int64_t in_features() const = 0;
  virtual std::int64_t out_features() const = 0;
  // The frozen part.
  virtual const FrozenMatrix& matrix() const = 0;
};

// Weights that can have no gradient.
class FrozenLinear final : public Linear {
 public:
  explicit FrozenLinear(FrozenMatrix matrix) : matrix_(std::move(matrix)) {}
  at::Tensor forward(const at::Tensor& x, Compute compute) const override { return matrix_.multiply(x, compute); }
  std::int64_t in_features() const override { return matrix_.in_features(); }
  std::int64_t out_features() const override { return matrix_.out_features(); }
  const FrozenMatrix& matrix() const override { return matrix_; }

 private:
  FrozenMatrix matrix_;
};

// A frozen matrix and an adapter beside it: y = x W^T + b + scale (x A^T) B^T (Hu et al., arXiv 2106.09685).
class LoraLinear final : public Linear {
 public:
  // a [rank, in], b [out, rank], fp32; scale = alpha / rank (or alpha / sqrt(rank), rank-stabilised). Throws
  // CorruptData when the shapes do not fit the matrix.
  LoraLinear(FrozenMatrix matrix, at::Tensor a, at::Tensor b, double scale);
  at::Tensor forward(const at::Tensor& x, Compute compute) const override;
  std::int64_t in_features() const override { return matrix_.in_features(); }
  std::int64_t out_features() const override { return matrix_.out_features(); }
  const FrozenMatrix& matrix() const override { return matrix_; }
  std::int64_t rank() const { return a_.size(0); }

 private:
  FrozenMatrix matrix_;
  at::Tensor a_;
  at::Tensor b_;
  double scale_;
};

}  // namespace striate
