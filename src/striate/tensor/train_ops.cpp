#include "striate/tensor/train_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

#include <cmath>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/row_loops.h"
#include "striate/tensor/storage.h"

namespace striate {
namespace {

at::Tensor inverse_norm(const at::Tensor& wide, double eps) {
  return (wide.square().mean(-1, /*keepdim=*/true) + eps).rsqrt();
}

struct DropoutSettings {
  std::uint32_t threshold;  // of 65536
  float scale;
};

DropoutSettings settings_of(const DropoutMask& mask) {
  const auto threshold = static_cast<std::uint32_t>(std::lround(mask.probability * 65536.0));
  return {threshold, static_cast<float>(65536.0 / (65536.0 - threshold))};
}

void run_dropout(const at::Tensor& x, const at::Tensor& y, const DropoutMask& mask, bool accumulate) {
  const DropoutSettings settings = settings_of(mask);
  const at::Tensor keys = mask.row_keys.contiguous();
  DropoutRows job{};
  job.x = x.const_data_ptr();
  job.y = y.mutable_data_ptr();
  job.row_keys = reinterpret_cast<const std::uint64_t*>(keys.const_data_ptr<std::int64_t>());
  job.key = mask.key;
  job.threshold = settings.threshold;
  job.scale = settings.scale;
  job.accumulate = accumulate;
  job.storage = storage_of(x);
  job.columns = x.size(1);
  parallel_rows(job, x.size(0), job.columns, cpu_kernels().dropout);
}

// The same masks on any device: drawn on the CPU by the same loop.
at::Tensor mask_factors(const at::Tensor& x, const DropoutMask& mask) {
  const at::Tensor ones = at::empty(x.sizes(), at::TensorOptions(at::kFloat)).fill_(1.0);
  DropoutMask on_cpu = mask;
  on_cpu.row_keys = mask.row_keys.cpu();
  const at::Tensor factors = at::empty_like(ones);
  run_dropout(ones, factors, on_cpu, /*accumulate=*/false);
  return factors.to(x.device());
}

}  // namespace

SumAndNorm add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps) {
  if (!has_cpu_loop(x)) {
    const at::Tensor sum = x + delta;
    return {sum, rms_norm(sum, weight, eps)};
  }
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
  if (!has_cpu_loop(x)) {
    const at::Tensor wide = x.to(at::kFloat);
    const at::Tensor scale = inverse_norm(wide, eps);
    const at::Tensor weighted = dy.to(at::kFloat) * weight;
    const at::Tensor along = (weighted * wide).mean(-1, /*keepdim=*/true) * scale.pow(3);
    dx.add_((weighted * scale - wide * along).to(dx.scalar_type()));
    return;
  }
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
  const at::Tensor wide = x.to(at::kFloat);
  return (wide * inverse_norm(wide, eps) * dy.to(at::kFloat)).sum(0);
}

void silu_multiply_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy) {
  if (!has_cpu_loop(gate)) {
    const at::Tensor g = gate.to(at::kFloat);
    const at::Tensor d = dy.to(at::kFloat);
    const at::Tensor sigmoid = at::sigmoid(g);
    const at::Tensor dup = d * g * sigmoid;  // before gate, which g may be, is overwritten
    gate.copy_(d * up.to(at::kFloat) * sigmoid * (g * (1.0 - sigmoid) + 1.0));
    up.copy_(dup);
    return;
  }
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
  if (!has_cpu_loop(logits)) {
    const at::Tensor log_probabilities = at::log_softmax(logits.to(at::kFloat), -1);
    const at::Tensor picked = targets.unsqueeze(1);
    const at::Tensor nll = log_probabilities.gather(1, picked).squeeze(1).neg();
    if (scale != 0.0) {
      at::Tensor gradient = log_probabilities.exp();
      gradient.scatter_add_(1, picked, at::empty_like(picked, gradient.options()).fill_(-1.0));
      logits.copy_(gradient.mul_(scale));
    }
    return nll;
  }
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

at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask) {
  if (mask.probability == 0.0) return x;
  if (!has_cpu_loop(x)) return (x.to(at::kFloat) * mask_factors(x, mask)).to(x.scalar_type());
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
  if (!has_cpu_loop(x)) {
    y.add_((x.to(at::kFloat) * mask_factors(x, mask)).to(y.scalar_type()));
    return;
  }
  run_dropout(x.contiguous(), y, mask, /*accumulate=*/true);
}

}  // namespace striate
