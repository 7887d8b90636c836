// One function for each operation that has a kernel: it lays out the results, chooses blocks and threads, and launches.
//
// Tensors are fp32 or bf16 unless said otherwise, and lie on the runner's device. What the functions do is said where
// the CPU does the same: tensor/fused_ops.h, tensor/train_ops.h and tensor/optimizer_ops.h. Rows may be strided where
// they may be there.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <tuple>

#include "striate/cuda/kernel_runner.h"

namespace striate::cuda {

// Whether the kernels read tensors of this type.
bool has_kernels(at::ScalarType type);

at::Tensor rms_norm(KernelRunner& runner, const at::Tensor& x, const at::Tensor& weight, double eps);
std::tuple<at::Tensor, at::Tensor> add_rms_norm(KernelRunner& runner, const at::Tensor& x, const at::Tensor& delta,
                                                const at::Tensor& weight, double eps);
void add_rms_norm_gradient(KernelRunner& runner, const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x,
                           const at::Tensor& weight, double eps);
at::Tensor rms_norm_weight_gradient(KernelRunner& runner, const at::Tensor& dy, const at::Tensor& x, double eps);
// `sign` -1 turns back.
void rotate_heads(KernelRunner& runner, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, double sign);
at::Tensor silu_multiply(KernelRunner& runner, const at::Tensor& gate, const at::Tensor& up);
void silu_multiply_backward(KernelRunner& runner, const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy);
at::Tensor quick_gelu(KernelRunner& runner, const at::Tensor& x);
at::Tensor cross_entropy_in_place(KernelRunner& runner, const at::Tensor& logits, const at::Tensor& targets,
                                  double scale);

// Draws of 16 bits below `threshold` are masked out, the rest is multiplied by `scale`.
struct Mask {
  at::Tensor row_keys;  // [tokens] int64
  std::uint64_t key;
  std::uint32_t threshold;
  float scale;
};
at::Tensor dropout(KernelRunner& runner, const at::Tensor& x, const Mask& mask);
void add_dropout(KernelRunner& runner, const at::Tensor& y, const at::Tensor& x, const Mask& mask);

// Of QuantizedMatrix and QuantizedRows (tensor/quantized_matrix.h).
void dequantize(KernelRunner& runner, const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse,
                std::int64_t first, const at::Tensor& to);
std::tuple<at::Tensor, at::Tensor> quantize_rows(KernelRunner& runner, const at::Tensor& x);

at::Tensor square_sums(KernelRunner& runner, const at::Tensor& values);
void judge_gradients(KernelRunner& runner, const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses,
                     double max_norm, double beta1, double beta2);

struct AdamWTensors {
  at::Tensor values, first, second;  // [count] fp32
  at::Tensor rounded;                // [count] bf16 or [0]
  at::Tensor gradients;              // [count] fp32
  at::Tensor step;                   // [kStepSlots] fp64
};
struct AdamWNumbers {
  at::IntArrayRef ends, kinds;
  at::ArrayRef<double> rates, decays;
  double beta1, beta2, eps;
};
// One launch for every 256 ranges.
void adamw_in_place(KernelRunner& runner, const AdamWTensors& tensors, const AdamWNumbers& numbers);

}  // namespace striate::cuda
