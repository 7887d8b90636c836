// Our operations as LibTorch's dispatcher knows them: the operators of namespace `striate`.
//
// fused_ops.h, train_ops.h and optimizer_ops.h run the CPU's loops themselves where a tensor is on the CPU; for a
// tensor of any other device they call the operator. On CUDA an operator launches a kernel of cuda/, or is composed of
// LibTorch's operators where there is none (composed_ops.h). Each is registered for the CPU too, with the loops:
// whoever runs operators by their CPU implementation, as the pretend device of the tests does, runs ours as well.
//
// Arguments and results are those of the functions of the same name; `key` holds the bits of an unsigned number.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

namespace striate::operators {

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
// As QuantizedMatrix has them: rows from `first` on into `to`.
void dequantize(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse, std::int64_t first,
                const at::Tensor& to);
// The codes and scales of QuantizedRows.
std::tuple<at::Tensor, at::Tensor> quantize_rows(const at::Tensor& x);
at::Tensor square_sums(const at::Tensor& values);
void judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                     double beta1, double beta2);
void adamw_in_place(const at::Tensor& values, const at::Tensor& first, const at::Tensor& second,
                    const at::Tensor& rounded, const at::Tensor& gradients, const at::Tensor& step,
                    at::IntArrayRef ends, at::IntArrayRef kinds, at::ArrayRef<double> rates,
                    at::ArrayRef<double> decays, double beta1, double beta2, double eps);

}  // namespace striate::operators
