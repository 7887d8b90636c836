#include "striate/tensor/cuda_operators.h"

#include <torch/library.h>

#include <tuple>

#include "striate/cuda/gpu_kernels.h"
#include "striate/cuda/launchers.h"
#include "striate/tensor/composed_ops.h"

namespace striate {
namespace on_cuda {
namespace {

// What launches kernels over this tensor; null where there are none for it.
cuda::KernelRunner* runner_for(const at::Tensor& x) {
  return cuda::has_kernels(x.scalar_type()) ? cuda::gpu_kernels(x.device()).runner.get() : nullptr;
}

DropoutMask mask_of(const at::Tensor& row_keys, std::int64_t key, double probability) {
  return {probability, static_cast<std::uint64_t>(key), row_keys};
}

cuda::Mask drawn_mask(const at::Tensor& row_keys, std::int64_t key, double probability) {
  const DropoutDraw draw = dropout_draw(probability);
  return {row_keys, static_cast<std::uint64_t>(key), draw.threshold, draw.scale};
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (auto* runner = runner_for(x)) return cuda::rms_norm(*runner, x, weight, eps);
  return composed::rms_norm(x, weight, eps);
}

std::tuple<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                                double eps) {
  if (auto* runner = runner_for(x)) return cuda::add_rms_norm(*runner, x, delta, weight, eps);
  SumAndNorm result = composed::add_rms_norm(x, delta, weight, eps);
  return {std::move(result.sum), std::move(result.normed)};
}

void add_rms_norm_gradient(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           double eps) {
  if (auto* runner = runner_for(x)) return cuda::add_rms_norm_gradient(*runner, dx, dy, x, weight, eps);
  composed::add_rms_norm_gradient(dx, dy, x, weight, eps);
}

at::Tensor rms_norm_weight_gradient(const at::Tensor& dy, const at::Tensor& x, double eps) {
  if (auto* runner = runner_for(x)) return cuda::rms_norm_weight_gradient(*runner, dy, x, eps);
  return composed::rms_norm_weight_gradient(dy, x, eps);
}

void rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, double sign) {
  if (auto* runner = runner_for(x)) return cuda::rotate_heads(*runner, x, cos, sin, sign);
  composed::rotate_heads(x, cos, sin, sign);
}

at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up) {
  if (auto* runner = runner_for(gate)) return cuda::silu_multiply(*runner, gate, up);
  return composed::silu_multiply(gate, up);
}

void silu_multiply_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy) {
  if (auto* runner = runner_for(gate)) return cuda::silu_multiply_backward(*runner, gate, up, dy);
  composed::silu_multiply_backward(gate, up, dy);
}

at::Tensor quick_gelu(const at::Tensor& x) {
  if (auto* runner = runner_for(x)) return cuda::quick_gelu(*runner, x);
  return composed::quick_gelu(x);
}

at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& targets, double scale) {
  if (auto* runner = runner_for(logits)) return cuda::cross_entropy_in_place(*runner, logits, targets, scale);
  return composed::cross_entropy_in_place(logits, targets, scale);
}

at::Tensor dropout(const at::Tensor& x, const at::Tensor& row_keys, std::int64_t key, double probability) {
  if (auto* runner = runner_for(x)) return cuda::dropout(*runner, x, drawn_mask(row_keys, key, probability));
  return composed::dropout(x, mask_of(row_keys, key, probability));
}

void add_dropout(const at::Tensor& y, const at::Tensor& x, const at::Tensor& row_keys, std::int64_t key,
                 double probability) {
  if (auto* runner = runner_for(x)) return cuda::add_dropout(*runner, y, x, drawn_mask(row_keys, key, probability));
  composed::add_dropout(y, x, mask_of(row_keys, key, probability));
}

void dequantize(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse, std::int64_t first,
                const at::Tensor& to) {
  if (auto* runner = runner_for(to)) return cuda::dequantize(*runner, codes, scales, coarse, first, to);
  composed::dequantize(codes, scales, coarse, first, to);
}

std::tuple<at::Tensor, at::Tensor> quantize_rows(const at::Tensor& x) {
  if (auto* runner = runner_for(x)) return cuda::quantize_rows(*runner, x);
  QuantizedRows rows = composed::quantize_rows(x);
  return {std::move(rows.codes), std::move(rows.scales)};
}

at::Tensor square_sums(const at::Tensor& values) {
  if (auto* runner = runner_for(values)) return cuda::square_sums(*runner, values);
  return composed::square_sums(values);
}

void judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                     double beta1, double beta2) {
  if (auto* runner = cuda::gpu_kernels(step.device()).runner.get()) {
    return cuda::judge_gradients(*runner, step, sums, losses, max_norm, beta1, beta2);
  }
  composed::judge_gradients(step, sums, losses, max_norm, {beta1, beta2});
}

void adamw_in_place(const at::Tensor& values, const at::Tensor& first, const at::Tensor& second,
                    const at::Tensor& rounded, const at::Tensor& gradients, const at::Tensor& step,
                    at::IntArrayRef ends, at::IntArrayRef kinds, at::ArrayRef<double> rates,
                    at::ArrayRef<double> decays, double beta1, double beta2, double eps) {
  if (auto* runner = runner_for(values)) {
    return cuda::adamw_in_place(*runner, {values, first, second, rounded, gradients, step},
                                {ends, kinds, rates, decays, beta1, beta2, eps});
  }
  composed::adamw_in_place({values, first, second, rounded, gradients, ends.vec(), kinds.vec()}, step,
                           {rates.vec(), decays.vec(), {beta1, beta2}, eps});
}

}  // namespace
}  // namespace on_cuda

void register_cuda_operators(torch::Library& library) {
  library.impl("rms_norm", &on_cuda::rms_norm);
  library.impl("add_rms_norm", &on_cuda::add_rms_norm);
  library.impl("add_rms_norm_gradient", &on_cuda::add_rms_norm_gradient);
  library.impl("rms_norm_weight_gradient", &on_cuda::rms_norm_weight_gradient);
  library.impl("rotate_heads", &on_cuda::rotate_heads);
  library.impl("silu_multiply", &on_cuda::silu_multiply);
  library.impl("silu_multiply_backward", &on_cuda::silu_multiply_backward);
  library.impl("quick_gelu", &on_cuda::quick_gelu);
  library.impl("cross_entropy_in_place", &on_cuda::cross_entropy_in_place);
  library.impl("dropout", &on_cuda::dropout);
  library.impl("add_dropout", &on_cuda::add_dropout);
  library.impl("dequantize", &on_cuda::dequantize);
  library.impl("quantize_rows", &on_cuda::quantize_rows);
  library.impl("square_sums", &on_cuda::square_sums);
  library.impl("judge_gradients", &on_cuda::judge_gradients);
  library.impl("adamw_in_place", &on_cuda::adamw_in_place);
}

}  // namespace striate
