#include "striate/model/linear.h"

#include <ATen/ops/linear.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {

LoraLinear::LoraLinear(FrozenMatrix matrix, at::Tensor a, at::Tensor b, double scale)
    : matrix_(std::move(matrix)), a_(std::move(a)), b_(std::move(b)), scale_(scale) {
  if (a_.dim() != 2 || b_.dim() != 2 || a_.size(0) != b_.size(1) || a_.size(1) != matrix_.in_features() ||
      b_.size(0) != matrix_.out_features()) {
    throw corrupt_data(cat("adapter A ", a_.sizes(), ", B ", b_.sizes(), " does not fit a weight [",
                           matrix_.out_features(), ", ", matrix_.in_features(), "]"),
                       "the adapter belongs to another model");
  }
}

at::Tensor LoraLinear::forward(const at::Tensor& x, Compute compute) const {
  // The thin products run in fp32: they cost little, and small updates must not vanish in bf16 rounding.
  const at::Tensor update = at::linear(at::linear(x.to(at::kFloat), a_), b_).mul_(scale_);
  return matrix_.multiply(x, compute).to(at::kFloat).add_(update).to(compute_dtype(compute));
}

}  // namespace striate
