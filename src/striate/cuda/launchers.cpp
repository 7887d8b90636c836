#include "striate/cuda/launchers.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "striate/cuda/launch_shape.h"

namespace striate::cuda {
namespace {

constexpr std::string_view kNorm = "norm";

// A vector [columns] fp32 as the kernels read it.
at::Tensor dense_vector(const at::Tensor& weight) {
  return weight.to(at::kFloat).contiguous();
}

void run_dropout(KernelRunner& runner, const char* name, const at::Tensor& x, const at::Tensor& y, const Mask& mask) {
  const at::Tensor keys = mask.row_keys.contiguous();
  const int columns = row_length(x);
  run_kernel(runner, "dropout", kernel_for(name, x.scalar_type()), x.size(0), x.const_data_ptr(), y.mutable_data_ptr(),
             keys.const_data_ptr<std::int64_t>(), mask.key, mask.threshold, mask.scale, columns);
}

}  // namespace

bool has_kernels(at::ScalarType type) {
  return type == at::kFloat || type == at::kBFloat16;
}

at::Tensor rms_norm(KernelRunner& runner, const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor rows = with_dense_rows(x), w = dense_vector(weight);
  at::Tensor y = at::empty(x.sizes(), x.options());
  const int columns = row_length(x);
  run_kernel(runner, kNorm, kernel_for("rms_norm", x.scalar_type()), x.size(0), rows.const_data_ptr(), rows.stride(0),
             w.const_data_ptr<float>(), y.mutable_data_ptr(), columns, static_cast<float>(eps));
  return y;
}

std::tuple<at::Tensor, at::Tensor> add_rms_norm(KernelRunner& runner, const at::Tensor& x, const at::Tensor& delta,
                                                const at::Tensor& weight, double eps) {
  const at::Tensor rows = x.contiguous(), added = delta.contiguous(), w = dense_vector(weight);
  at::Tensor sum = at::empty(x.sizes(), x.options());
  at::Tensor y = at::empty(x.sizes(), x.options());
  const int columns = row_length(x);
  run_kernel(runner, kNorm, kernel_for("add_rms_norm", x.scalar_type()), x.size(0), rows.const_data_ptr(),
             added.const_data_ptr(), w.const_data_ptr<float>(), sum.mutable_data_ptr(), y.mutable_data_ptr(), columns,
             static_cast<float>(eps));
  return {sum, y};
}

void add_rms_norm_gradient(KernelRunner& runner, const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x,
                           const at::Tensor& weight, double eps) {
  if (!dx.is_contiguous()) throw internal_error("the gradient of a norm goes into dense rows");
  const at::Tensor rows = x.contiguous(), out = dy.contiguous(), w = dense_vector(weight);
  const int columns = row_length(x);
  run_kernel(runner, kNorm, kernel_for("rms_norm_gradient", x.scalar_type()), x.size(0), out.const_data_ptr(),
             rows.const_data_ptr(), w.const_data_ptr<float>(), dx.mutable_data_ptr(), columns, static_cast<float>(eps));
}

at::Tensor rms_norm_weight_gradient(KernelRunner& runner, const at::Tensor& dy, const at::Tensor& x, double eps) {
  constexpr std::int64_t kRows = 32;  // of each block: kNormRows in kernels/norm.cu
  const at::Tensor rows = x.contiguous(), out = dy.contiguous();
  const int columns = row_length(x);
  const std::int64_t parts = (x.size(0) + kRows - 1) / kRows;
  const at::TensorOptions options = x.options().dtype(at::kFloat);
  const at::Tensor sums = at::empty({parts, columns}, options);
  at::Tensor gradient = at::empty({columns}, options);
  run_kernel(runner, kNorm, kernel_for("rms_norm_weight_sums", x.scalar_type()), parts, out.const_data_ptr(),
             rows.const_data_ptr(), sums.mutable_data_ptr<float>(), x.size(0), columns, static_cast<float>(eps));
  run_kernel(runner, kNorm, "rms_norm_weight_total", (columns + kBlockThreads - 1) / kBlockThreads,
             sums.const_data_ptr<float>(), gradient.mutable_data_ptr<float>(), parts, columns);
  return gradient;
}

void rotate_heads(KernelRunner& runner, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                  double sign) {
  if (x.stride(2) != 1) throw internal_error("heads whose elements do not lie side by side");
  const at::Tensor cosine = dense_vector(cos), sine = dense_vector(sin);
  const int heads = static_cast<int>(x.size(1)), half = static_cast<int>(x.size(2) / 2);
  run_kernel(runner, "rotary", kernel_for("rotate", x.scalar_type()), x.size(0), x.mutable_data_ptr(),
             cosine.const_data_ptr<float>(), sine.const_data_ptr<float>(), heads, half, x.stride(0), x.stride(1),
             static_cast<float>(sign));
}

at::Tensor silu_multiply(KernelRunner& runner, const at::Tensor& gate, const at::Tensor& up) {
  const at::Tensor gates = with_dense_rows(gate), ups = with_dense_rows(up);
  at::Tensor y = at::empty(gate.sizes(), gate.options());
  const int columns = row_length(gate);
  run_kernel(runner, "activation", kernel_for("silu_multiply", gate.scalar_type()), gate.size(0),
             gates.const_data_ptr(), gates.stride(0), ups.const_data_ptr(), ups.stride(0), y.mutable_data_ptr(),
             columns);
  return y;
}

void silu_multiply_backward(KernelRunner& runner, const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy) {
  if (gate.stride(1) != 1 || up.stride(1) != 1 || gate.stride(0) != up.stride(0)) {
    throw internal_error("gate and up lie differently in memory");
  }
  const at::Tensor out = dy.contiguous();
  const int columns = row_length(gate);
  run_kernel(runner, "activation", kernel_for("silu_multiply_backward", gate.scalar_type()), gate.size(0),
             gate.mutable_data_ptr(), up.mutable_data_ptr(), gate.stride(0), out.const_data_ptr(), columns);
}

at::Tensor quick_gelu(KernelRunner& runner, const at::Tensor& x) {
  constexpr std::int64_t kAccesses = 4;  // of each thread
  const at::Tensor dense = x.contiguous();
  at::Tensor y = at::empty(x.sizes(), x.options());
  const auto columns = static_cast<int>(kBlockThreads * kAccesses * (kAccessBytes / x.element_size()));
  run_kernel(runner, "activation", kernel_for("quick_gelu", x.scalar_type()), (x.numel() + columns - 1) / columns,
             dense.const_data_ptr(), y.mutable_data_ptr(), x.numel(), columns);
  return y;
}

at::Tensor cross_entropy_in_place(KernelRunner& runner, const at::Tensor& logits, const at::Tensor& targets,
                                  double scale) {
  if (!logits.is_contiguous()) throw internal_error("logits whose rows do not lie side by side");
  const at::Tensor wanted = targets.contiguous();
  at::Tensor nll = at::empty({logits.size(0)}, logits.options().dtype(at::kFloat));
  const int columns = row_length(logits);
  run_kernel(runner, "cross_entropy", kernel_for("cross_entropy", logits.scalar_type()), logits.size(0),
             logits.mutable_data_ptr(), wanted.const_data_ptr<std::int64_t>(), nll.mutable_data_ptr<float>(), columns,
             static_cast<float>(scale));
  return nll;
}

at::Tensor dropout(KernelRunner& runner, const at::Tensor& x, const Mask& mask) {
  const at::Tensor rows = x.contiguous();
  at::Tensor y = at::empty(x.sizes(), x.options());
  run_dropout(runner, "dropout", rows, y, mask);
  return y;
}

void add_dropout(KernelRunner& runner, const at::Tensor& y, const at::Tensor& x, const Mask& mask) {
  if (!y.is_contiguous()) throw internal_error("dropout is added to dense rows");
  run_dropout(runner, "add_dropout", x.contiguous(), y, mask);
}

}  // namespace striate::cuda
