#include "striate/tensor/matrix.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linear.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {

Compute best_compute(at::Device device) {
  if (!device.is_cpu()) return Compute::kBFloat16;
  return __builtin_cpu_supports("avx512bf16") ? Compute::kBFloat16 : Compute::kFloat32;
}

std::string compute_name(Compute compute) {
  return compute == Compute::kBFloat16 ? "bf16" : "fp32";
}

at::ScalarType compute_dtype(Compute compute) {
  return compute == Compute::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

std::string cpu_description() {
  const char* isa = __builtin_cpu_supports("avx512f") ? "AVX512" : __builtin_cpu_supports("avx2") ? "AVX2" : "SSE";
  return cat(isa, "; ", at::get_num_threads(), " threads");
}

FrozenMatrix::FrozenMatrix(at::Tensor weight, at::Tensor bias) : weight_(std::move(weight)), bias_(std::move(bias)) {
  if (weight_.dim() != 2) throw internal_error(cat("a weight of shape ", weight_.sizes()));
}

at::Tensor FrozenMatrix::multiply(const at::Tensor& x, Compute compute) const {
  const at::ScalarType dtype = compute_dtype(compute);
  std::optional<at::Tensor> bias;
  if (bias_.defined()) bias = bias_.to(dtype);
  return at::linear(x, weight_.to(dtype), bias);
}

}  // namespace striate
