// What training adds to fused_ops.h: forward operations that serve two purposes in one pass, and gradients.
//
// Tensors are fp32 or bf16; arithmetic is fp32 inside; results have the input's dtype. On the CPU they are vectorised
// loops over LibTorch's thread pool; elsewhere they are operators of their own (operators.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace striate {

struct SumAndNorm {
  at::Tensor sum;     // x + delta
  at::Tensor normed;  // rms_norm(sum)
};

// x, delta [tokens, hidden], weight [hidden] fp32.
SumAndNorm add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps);

// dx += the gradient of rms_norm(x, weight, eps) given dy; all [tokens, hidden] of one type, dx contiguous.
void add_rms_norm_gradient(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           double eps);

// The gradient of a norm's weight, [hidden] fp32.
at::Tensor rms_norm_weight_gradient(const at::Tensor& dy, const at::Tensor& x, double eps);

// gate and up, [tokens, mlp] (rows may be strided alike), become the gradients of silu_multiply by them, given that of
// its result, dy [tokens, mlp].
void silu_multiply_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy);

// logits [K, vocab], overwritten with scale * (softmax - onehot); with scale 0 they are left as they are.
// targets [K] int64, on the logits' device. Returns the negative log-likelihoods, [K] fp32.
at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& targets, double scale);

// Dropout whose mask is a function of keys alone (Srivastava et al., JMLR 2014, scaled at training time).
struct DropoutMask {
  double probability = 0;  // 0: none; kept to 1/65536
  std::uint64_t key = 0;   // of the place in the model and the step
  at::Tensor row_keys;     // [tokens] int64, of the sample and the position in it
};

// What the probability means for the draws of 16 bits: those below `threshold` are masked out, and the rest is scaled.
struct DropoutDraw {
  std::uint32_t threshold;
  float scale;
};
DropoutDraw dropout_draw(double probability);

// x [tokens, width] masked and scaled.
at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask);
// y += x masked and scaled: the gradient's way back.
void add_dropout(const at::Tensor& y, const at::Tensor& x, const DropoutMask& mask);

}  // namespace striate
