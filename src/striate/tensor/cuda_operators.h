// The operators of operators.h on CUDA: kernels of cuda/ where the device has them, else LibTorch's operators
// (composed_ops.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace striate::on_cuda {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
std::tuple<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                                double eps);
void add_rms_norm_gradient(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           double eps);
at::Tensor rms_norm_weight_gradient(const at::Tensor& dy, const at::Tensor& x, double eps);
void rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, double sign);
at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up);
void silu_multiply_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy);
at::Tensor quick_gelu(const at::Tensor& x);
at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& targets, double scale);
at::Tensor dropout(const at::Tensor& x, const at::Tensor& row_keys, std::int64_t key, double probability);
void add_dropout(const at::Tensor& y, const at::Tensor& x, const at::Tensor& row_keys, std::int64_t key,
                 double probability);
at::Tensor square_sums(const at::Tensor& values);
void judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                     double beta1, double beta2);
void adamw_in_place(const at::Tensor& values, const at::Tensor& first, const at::Tensor& second,
                    const at::Tensor& rounded, const at::Tensor& gradients, const at::Tensor& step,
                    at::IntArrayRef ends, at::IntArrayRef kinds, at::ArrayRef<double> rates,
                    at::ArrayRef<double> decays, double beta1, double beta2, double eps);

}  // namespace striate::on_cuda
