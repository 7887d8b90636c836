#include "striate/tensor/operators.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "striate/tensor/cuda_operators.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/optimizer_ops.h"
#include "striate/tensor/quantized_matrix.h"
#include "striate/tensor/train_ops.h"

namespace striate::operators {
namespace {

DropoutMask mask_of(const at::Tensor& row_keys, std::int64_t key, double probability) {
  return {probability, static_cast<std::uint64_t>(key), row_keys};
}

AdamWState state_of(const at::Tensor& values, const at::Tensor& first, const at::Tensor& second,
                    const at::Tensor& rounded, const at::Tensor& gradients, at::IntArrayRef ends,
                    at::IntArrayRef kinds) {
  return {values, first, second, rounded, gradients, ends.vec(), kinds.vec()};
}

AdamWSettings settings_of(at::ArrayRef<double> rates, at::ArrayRef<double> decays, Betas betas, double eps) {
  return {rates.vec(), decays.vec(), betas, eps};
}

// The functions of the CPU in the operators' forms, where these differ.

std::tuple<at::Tensor, at::Tensor> cpu_add_rms_norm(const at::Tensor& x, const at::Tensor& delta,
                                                    const at::Tensor& weight, double eps) {
  SumAndNorm result = striate::add_rms_norm(x, delta, weight, eps);
  return {std::move(result.sum), std::move(result.normed)};
}

void cpu_rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, double sign) {
  if (sign < 0) return striate::rotate_heads_back(x, cos, sin);
  striate::rotate_heads(x, cos, sin);
}

at::Tensor cpu_dropout(const at::Tensor& x, const at::Tensor& row_keys, std::int64_t key, double probability) {
  return striate::dropout(x, mask_of(row_keys, key, probability));
}

void cpu_add_dropout(const at::Tensor& y, const at::Tensor& x, const at::Tensor& row_keys, std::int64_t key,
                     double probability) {
  striate::add_dropout(y, x, mask_of(row_keys, key, probability));
}

std::tuple<at::Tensor, at::Tensor> cpu_quantize_rows(const at::Tensor& x) {
  QuantizedRows rows = striate::quantize_rows_on_cpu(x);
  return {std::move(rows.codes), std::move(rows.scales)};
}

void cpu_judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                         double beta1, double beta2) {
  striate::judge_gradients(step, sums, losses, max_norm, {beta1, beta2});
}

void cpu_adamw_in_place(const at::Tensor& values, const at::Tensor& first, const at::Tensor& second,
                        const at::Tensor& rounded, const at::Tensor& gradients, const at::Tensor& step,
                        at::IntArrayRef ends, at::IntArrayRef kinds, at::ArrayRef<double> rates,
                        at::ArrayRef<double> decays, double beta1, double beta2, double eps) {
  striate::adamw_in_place(state_of(values, first, second, rounded, gradients, ends, kinds), step,
                          settings_of(rates, decays, {beta1, beta2}, eps));
}

// An operator of ours, found once. Nothing of it has a gradient of LibTorch's.
template <typename Result, typename... Args>
class Operator {
 public:
  explicit Operator(const char* name)
      : handle_(c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Result(Args...)>()) {}
  Result operator()(Args... arguments) const {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    return handle_.call(arguments...);
  }

 private:
  c10::TypedOperatorHandle<Result(Args...)> handle_;
};

// With the types of `function`, which is the operator's function in this file's namespace.
template <typename Result, typename... Args>
Operator<Result, Args...> operator_like(Result (*)(Args...), const char* name) {
  return Operator<Result, Args...>(name);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(striate, m) {
  m.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor");
  m.def("add_rms_norm(Tensor x, Tensor delta, Tensor weight, float eps) -> (Tensor, Tensor)");
  m.def("add_rms_norm_gradient(Tensor(a!) dx, Tensor dy, Tensor x, Tensor weight, float eps) -> ()");
  m.def("rms_norm_weight_gradient(Tensor dy, Tensor x, float eps) -> Tensor");
  m.def("rotate_heads(Tensor(a!) x, Tensor cos, Tensor sin, float sign) -> ()");
  m.def("silu_multiply(Tensor gate, Tensor up) -> Tensor");
  m.def("silu_multiply_backward(Tensor(a!) gate, Tensor(b!) up, Tensor dy) -> ()");
  m.def("quick_gelu(Tensor x) -> Tensor");
  m.def("cross_entropy_in_place(Tensor(a!) logits, Tensor targets, float scale) -> Tensor");
  m.def("dropout(Tensor x, Tensor row_keys, int key, float probability) -> Tensor");
  m.def("add_dropout(Tensor(a!) y, Tensor x, Tensor row_keys, int key, float probability) -> ()");
  m.def("dequantize(Tensor codes, Tensor scales, Tensor coarse, int first, Tensor(a!) to) -> ()");
  m.def("quantize_rows(Tensor x) -> (Tensor, Tensor)");
  m.def("square_sums(Tensor values) -> Tensor");
  m.def("judge_gradients(Tensor(a!) step, Tensor sums, Tensor losses, float max_norm, float beta1, float beta2) -> ()");
  m.def(
      "adamw_in_place(Tensor(a!) values, Tensor(b!) first, Tensor(c!) second, Tensor(d!) rounded, "
      "Tensor(e!) gradients, Tensor step, int[] ends, int[] kinds, float[] rates, float[] decays, float beta1, "
      "float beta2, float eps) -> ()");
}

TORCH_LIBRARY_IMPL(striate, CPU, m) {
  m.impl("rms_norm", &striate::rms_norm);
  m.impl("add_rms_norm", &cpu_add_rms_norm);
  m.impl("add_rms_norm_gradient", &striate::add_rms_norm_gradient);
  m.impl("rms_norm_weight_gradient", &striate::rms_norm_weight_gradient);
  m.impl("rotate_heads", &cpu_rotate_heads);
  m.impl("silu_multiply", &striate::silu_multiply);
  m.impl("silu_multiply_backward", &striate::silu_multiply_backward);
  m.impl("quick_gelu", &striate::quick_gelu);
  m.impl("cross_entropy_in_place", &striate::cross_entropy_in_place);
  m.impl("dropout", &cpu_dropout);
  m.impl("add_dropout", &cpu_add_dropout);
  m.impl("dequantize", &striate::dequantize_on_cpu);
  m.impl("quantize_rows", &cpu_quantize_rows);
  m.impl("square_sums", &striate::square_sums);
  m.impl("judge_gradients", &cpu_judge_gradients);
  m.impl("adamw_in_place", &cpu_adamw_in_place);
}

TORCH_LIBRARY_IMPL(striate, CUDA, m) {
  register_cuda_operators(m);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  static const auto op = operator_like(&operators::rms_norm, "striate::rms_norm");
  return op(x, weight, eps);
}

std::tuple<at::Tensor, at::Tensor> add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                                                double eps) {
  static const auto op = operator_like(&operators::add_rms_norm, "striate::add_rms_norm");
  return op(x, delta, weight, eps);
}

void add_rms_norm_gradient(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           double eps) {
  static const auto op = operator_like(&operators::add_rms_norm_gradient, "striate::add_rms_norm_gradient");
  return op(dx, dy, x, weight, eps);
}

at::Tensor rms_norm_weight_gradient(const at::Tensor& dy, const at::Tensor& x, double eps) {
  static const auto op = operator_like(&operators::rms_norm_weight_gradient, "striate::rms_norm_weight_gradient");
  return op(dy, x, eps);
}

void rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, double sign) {
  static const auto op = operator_like(&operators::rotate_heads, "striate::rotate_heads");
  return op(x, cos, sin, sign);
}

at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up) {
  static const auto op = operator_like(&operators::silu_multiply, "striate::silu_multiply");
  return op(gate, up);
}

void silu_multiply_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy) {
  static const auto op = operator_like(&operators::silu_multiply_backward, "striate::silu_multiply_backward");
  return op(gate, up, dy);
}

at::Tensor quick_gelu(const at::Tensor& x) {
  static const auto op = operator_like(&operators::quick_gelu, "striate::quick_gelu");
  return op(x);
}

at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& targets, double scale) {
  static const auto op = operator_like(&operators::cross_entropy_in_place, "striate::cross_entropy_in_place");
  return op(logits, targets, scale);
}

at::Tensor dropout(const at::Tensor& x, const at::Tensor& row_keys, std::int64_t key, double probability) {
  static const auto op = operator_like(&operators::dropout, "striate::dropout");
  return op(x, row_keys, key, probability);
}

void add_dropout(const at::Tensor& y, const at::Tensor& x, const at::Tensor& row_keys, std::int64_t key,
                 double probability) {
  static const auto op = operator_like(&operators::add_dropout, "striate::add_dropout");
  return op(y, x, row_keys, key, probability);
}

void dequantize(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse, std::int64_t first,
                const at::Tensor& to) {
  static const auto op = operator_like(&operators::dequantize, "striate::dequantize");
  return op(codes, scales, coarse, first, to);
}

std::tuple<at::Tensor, at::Tensor> quantize_rows(const at::Tensor& x) {
  static const auto op = operator_like(&operators::quantize_rows, "striate::quantize_rows");
  return op(x);
}

at::Tensor square_sums(const at::Tensor& values) {
  static const auto op = operator_like(&operators::square_sums, "striate::square_sums");
  return op(values);
}

void judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                     double beta1, double beta2) {
  static const auto op = operator_like(&operators::judge_gradients, "striate::judge_gradients");
  return op(step, sums, losses, max_norm, beta1, beta2);
}

void adamw_in_place(const at::Tensor& values, const at::Tensor& first, const at::Tensor& second,
                    const at::Tensor& rounded, const at::Tensor& gradients, const at::Tensor& step,
                    at::IntArrayRef ends, at::IntArrayRef kinds, at::ArrayRef<double> rates,
                    at::ArrayRef<double> decays, double beta1, double beta2, double eps) {
  static const auto op = operator_like(&operators::adamw_in_place, "striate::adamw_in_place");
  return op(values, first, second, rounded, gradients, step, ends, kinds, rates, decays, beta1, beta2, eps);
}

}  // namespace striate::operators
