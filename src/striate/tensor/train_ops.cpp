#include "striate/tensor/train_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "striate/base/error.h"
#include "striate/tensor/composed_ops.h"
#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/operators.h"
#include "striate/tensor/row_loops.h"
#include "striate/tensor/storage.h"

namespace striate {
namespace {

// The dispatcher's integers are signed.
std::int64_t signed_bits(std::uint64_t key) {
  return static_cast<std::int64_t>(key);
}

void run_dropout(const at::Tensor& x, const at::Tensor& y, const DropoutMask& mask, bool accumulate) {
  const DropoutDraw draw = dropout_draw(mask.probability);
  const at::Tensor keys = mask.row_keys.contiguous();
  DropoutRows job{};
  job.x = x.const_data_ptr();
  job.y = y.mutable_data_ptr();
  job.row_keys = reinterpret_cast<const std::uint64_t*>(keys.const_data_ptr<std::int64_t>());
  job.key = mask.key;
  job.threshold = draw.threshold;
  job.scale = draw.scale;
  job.accumulate = accumulate;
  job.storage = storage_of(x);
  job.columns = x.size(1);
  parallel_rows(job, x.size(0), job.columns, cpu_kernels().dropout);
}

}  // namespace

SumAndNorm add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps) {
  if (has_operator(x)) {
    auto [sum, normed] = operators::add_rms_norm(x, delta, weight, eps);
    return {sum, normed};
  }
  if (!has_cpu_loop(x)) return composed::add_rms_norm(x, delta, weight, eps);
  const at::Tensor rows = x.contiguous();
  const at::Tensor added = delta.contiguous();
  SumAndNorm result{at::empty(x.sizes(), x.options()), at::empty(x.sizes(), x.options())};
  AddNormRows job{};
  job.x = rows.const_data_ptr();
  job.delta = added.const_data_ptr();
  job.weight = weight.const_data_ptr<float>();
  job.sum = result.sum.mutable_data_ptr();
  job.y = result.normed.mutable_data_ptr();
  job.storage = storage_of(x);
  job.columns = x.size(1);
  job.eps = static_cast<float>(eps);
  parallel_rows(job, x.size(0), job.columns, cpu_kernels().add_norm);
  return result;
}

void add_rms_norm_gradient(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           double eps) {
  if (!dx.is_contiguous()) throw internal_error("the gradient of a norm goes into dense rows");
  if (has_operator(x)) return operators::add_rms_norm_gradient(dx, dy, x, weight, eps);
  if (!has_cpu_loop(x)) return composed::add_rms_norm_gradient(dx, dy, x, weight, eps);
  const at::Tensor rows = x.contiguous();
  const at::Tensor out = dy.contiguous();
  NormBackwardRows job{};
  job.dy = out.const_data_ptr();
  job.x = rows.const_data_ptr();
  job.weight = weight.const_data_ptr<float>();
  job.dx = dx.mutable_data_ptr();
  job.storage = storage_of(x);
  job.columns = x.size(1);
  job.eps = static_cast<float>(eps);
  parallel_rows(job, x.size(0), job.columns, cpu_kernels().norm_backward);
}

at::Tensor rms_norm_weight_gradient(const at::Tensor& dy, const at::Tensor& x, double eps) {
  if (has_operator(x)) return operators::rms_norm_weight_gradient(dy, x, eps);
  return composed::rms_norm_weight_gradient(dy, x, eps);
}

void silu_multiply_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy) {
  if (has_operator(gate)) return operators::silu_multiply_backward(gate, up, dy);
  if (!has_cpu_loop(gate)) return composed::silu_multiply_backward(gate, up, dy);
  if (gate.stride(1) != 1 || up.stride(1) != 1 || gate.stride(0) != up.stride(0)) {
    throw internal_error("gate and up lie differently in memory");
  }
  const at::Tensor out = dy.contiguous();
  GateBackwardRows job{};
  job.gate = gate.mutable_data_ptr();
  job.up = up.mutable_data_ptr();
  job.dy = out.const_data_ptr();
  job.storage = storage_of(gate);
  job.columns = gate.size(1);
  job.stride = gate.stride(0);
  parallel_rows(job, gate.size(0), job.columns, cpu_kernels().gate_backward);
}

at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& targets, double scale) {
  if (has_operator(logits)) return operators::cross_entropy_in_place(logits, targets, scale);
  if (!has_cpu_loop(logits)) return composed::cross_entropy_in_place(logits, targets, scale);
  const at::Tensor wanted = targets.contiguous();
  const at::Tensor nll = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat));
  CrossEntropyRows job{};
  job.logits = logits.mutable_data_ptr();
  job.targets = wanted.const_data_ptr<std::int64_t>();
  job.nll = nll.mutable_data_ptr<float>();
  job.storage = storage_of(logits);
  job.columns = logits.size(1);
  job.scale = static_cast<float>(scale);
  parallel_rows(job, logits.size(0), job.columns, cpu_kernels().cross_entropy);
  return nll;
}

DropoutDraw dropout_draw(double probability) {
  const auto threshold = static_cast<std::uint32_t>(std::lround(probability * 65536.0));
  return {threshold, static_cast<float>(65536.0 / (65536.0 - threshold))};
}

at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask) {
  if (mask.probability == 0.0) return x;
  if (has_operator(x)) return operators::dropout(x, mask.row_keys, signed_bits(mask.key), mask.probability);
  if (!has_cpu_loop(x)) return composed::dropout(x, mask);
  const at::Tensor rows = x.contiguous();
  const at::Tensor y = at::empty(x.sizes(), x.options());
  run_dropout(rows, y, mask, /*accumulate=*/false);
  return y;
}

void add_dropout(const at::Tensor& y, const at::Tensor& x, const DropoutMask& mask) {
  if (mask.probability == 0.0) {
    y.add_(x);
    return;
  }
  if (has_operator(x)) {
    return operators::add_dropout(y, x, mask.row_keys, signed_bits(mask.key), mask.probability);
  }
  if (!has_cpu_loop(x)) return composed::add_dropout(y, x, mask);
  run_dropout(x.contiguous(), y, mask, /*accumulate=*/true);
}

}  // namespace striate
