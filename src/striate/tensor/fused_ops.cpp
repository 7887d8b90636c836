#include "striate/tensor/fused_ops.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>

namespace striate {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = (wide.square().mean(-1, /*keepdim=*/true) + eps).rsqrt();
  return (wide * scale * weight).to(x.scalar_type());
}

at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up) {
  return (at::silu(gate.to(at::kFloat)) * up.to(at::kFloat)).to(gate.scalar_type());
}

at::Tensor rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const std::int64_t half = x.size(2) / 2;
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor a = wide.slice(2, 0, half);
  const at::Tensor b = wide.slice(2, half);
  const at::Tensor c = cos.unsqueeze(1);
  const at::Tensor s = sin.unsqueeze(1);
  return at::cat({a * c - b * s, b * c + a * s}, 2).to(x.scalar_type());
}

at::Tensor quick_gelu(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kFloat);
  return (wide * (wide * 1.702).sigmoid_()).to(x.scalar_type());
}

at::Tensor decode_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values, std::int64_t length,
                            double scale) {
  const std::int64_t kv_heads = keys.size(0);
  const at::Tensor queries = q.to(at::kFloat).reshape({kv_heads, q.size(0) / kv_heads, q.size(1)});
  const at::Tensor k = keys.slice(1, 0, length).to(at::kFloat);
  const at::Tensor v = values.slice(1, 0, length).to(at::kFloat);
  const at::Tensor weights = at::softmax(at::matmul(queries, k.transpose(1, 2)) * scale, -1);
  return at::matmul(weights, v).reshape(q.sizes()).to(q.scalar_type());
}

}  // namespace striate
