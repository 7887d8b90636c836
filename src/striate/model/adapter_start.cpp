#include "striate/model/adapter_start.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/div.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/matmul.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

// The eigenvectors of the largest `count` eigenvalues of a symmetric matrix, [n, count]; eigenvalues ascend.
at::Tensor largest_eigenvectors(const at::Tensor& matrix, std::int64_t count) {
  const at::Tensor vectors = std::get<1>(at::linalg_eigh(matrix));
  return vectors.slice(1, vectors.size(1) - count);
}

}  // namespace

LowRankProduct adapter_start(AdapterStart start, const at::Tensor& weight, std::int64_t rank, double scale) {
  const at::NoGradGuard no_grad;
  const std::int64_t out = weight.size(0);
  const std::int64_t in = weight.size(1);
  if (rank > std::min(out, in)) {
    throw corrupt_data(cat("an adapter of rank ", rank, " that started from a weight [", out, ", ", in, "]"),
                       "the adapter belongs to another model");
  }
  const at::Tensor w = weight.to(at::kCPU, at::kDouble);
  at::Tensor a;
  at::Tensor b;
  if (start == AdapterStart::kOlora) {
    b = std::get<0>(at::linalg_qr(w.slice(1, 0, rank), "reduced"));
    a = at::matmul(b.t(), w);
  } else if (start == AdapterStart::kPissa && out <= in) {
    b = largest_eigenvectors(at::matmul(w, w.t()), rank);
    a = at::matmul(b.t(), w).div(scale);
  } else if (start == AdapterStart::kPissa) {
    const at::Tensor directions = largest_eigenvectors(at::matmul(w.t(), w), rank);
    b = at::matmul(w, directions);
    a = directions.t().div(scale);
  } else {
    throw internal_error("an adapter that starts from zero has no start to compute");
  }
  return {a.to(at::kFloat).contiguous(), b.to(at::kFloat).contiguous()};
}

}  // namespace striate
