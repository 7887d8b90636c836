// The operations of fused_ops.h, train_ops.h and optimizer_ops.h composed of LibTorch's operators: what runs where
// neither the CPU's loops nor kernels of our own do. Arguments and results are theirs.
#pragma once

#include <ATen/core/Tensor.h>

#include "striate/tensor/optimizer_ops.h"
#include "striate/tensor/quantized_matrix.h"
#include "striate/tensor/train_ops.h"

namespace striate::composed {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
SumAndNorm add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps);
void add_rms_norm_gradient(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           double eps);
at::Tensor rms_norm_weight_gradient(const at::Tensor& dy, const at::Tensor& x, double eps);
// `sign` 1 is rotate_heads(), -1 is rotate_heads_back().
void rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, double sign);
at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up);
void silu_multiply_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy);
at::Tensor quick_gelu(const at::Tensor& x);
at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& targets, double scale);
// The masks are drawn on the CPU, by its loop, and copied.
at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask);
void add_dropout(const at::Tensor& y, const at::Tensor& x, const DropoutMask& mask);

void dequantize(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse, std::int64_t first,
                const at::Tensor& to);
QuantizedRows quantize_rows(const at::Tensor& x);

// Nothing waits for the device. LibTorch's own AdamW: the numbers are those of torch.optim.AdamW(fused=True).
at::Tensor square_sums(const at::Tensor& values);
void judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                     Betas betas);
void adamw_in_place(const AdamWState& state, const at::Tensor& step, const AdamWSettings& settings);

}  // namespace striate::composed
