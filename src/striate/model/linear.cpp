#include "striate/model/linear.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "striate/tensor/train_ops.h"

namespace striate {
namespace {

// A parameter that never has a gradient, for adapters that are only used.
std::shared_ptr<Parameter> held(at::Tensor value) {
  auto parameter = std::make_shared<Parameter>();
  parameter->value = std::move(value);
  return parameter;
}

// gradient += scale left^T right. Products of bf16 rows sum in fp32 and are rounded once.
void add_outer_products(const at::Tensor& gradient, const at::Tensor& left, const at::Tensor& right,
                        double scale = 1.0) {
  if (left.scalar_type() == at::kFloat) {
    gradient.addmm_(left.t(), right, /*beta=*/1, /*alpha=*/scale);
  } else {
    gradient.add_(at::mm(left.t(), right), scale);
  }
}

// scale left right, in one product.
at::Tensor scaled_product(const at::Tensor& left, const at::Tensor& right, double scale) {
  return at::addmm(at::empty({1}, left.options()), left, right, /*beta=*/0, /*alpha=*/scale);
}

// The rows of a gradient that reach the input's.
at::Tensor wanted_rows(const at::Tensor& gradient, const LinearBackward& in) {
  return in.input_rows.defined() ? gradient.index_select(0, in.input_rows) : gradient;
}

}  // namespace

LinearForward Linear::train_forward(const at::Tensor& x, Compute compute, const DropoutKeys& /*keys*/) const {
  return {forward(x, compute), {}};
}

LinearForward Linear::train_forward_from(at::Tensor product, const at::Tensor& /*x*/,
                                         const DropoutKeys& /*keys*/) const {
  return {std::move(product), {}};
}

at::Tensor FrozenLinear::backward(LinearBackward in) const {
  if (!in.input_gradient) return {};
  return matrix_.input_gradient(wanted_rows(in.dy, in), in.compute, std::move(in.onto));
}

LoraLinear::LoraLinear(FrozenMatrix matrix, at::Tensor a, at::Tensor b, double scale)
    : matrix_(std::move(matrix)), a_(held(std::move(a))), b_(held(std::move(b))), scale_(scale) {
  check_shapes();
}

LoraLinear::LoraLinear(FrozenMatrix matrix, std::shared_ptr<Parameter> a, std::shared_ptr<Parameter> b, double scale,
                       double dropout)
    : matrix_(std::move(matrix)), a_(std::move(a)), b_(std::move(b)), scale_(scale), dropout_(dropout), trained_(true) {
  check_shapes();
}

void LoraLinear::check_shapes() const {
  const at::Tensor& a = a_->value;
  const at::Tensor& b = b_->value;
  if (a.dim() != 2 || b.dim() != 2 || a.size(0) != b.size(1) || a.size(1) != matrix_.in_features() ||
      b.size(0) != matrix_.out_features()) {
    throw corrupt_data(cat("adapter A ", a.sizes(), ", B ", b.sizes(), " does not fit a weight [",
                           matrix_.out_features(), ", ", matrix_.in_features(), "]"),
                       "the adapter belongs to another model");
  }
}

// Adapters without a rounded copy (loaded, not trained here) multiply in fp32.
const at::Tensor& LoraLinear::operand(const Parameter& parameter, const at::Tensor& x) const {
  return x.scalar_type() == at::kBFloat16 && parameter.rounded.defined() ? parameter.rounded : parameter.value;
}

at::Tensor LoraLinear::forward(const at::Tensor& x, Compute compute) const {
  return train_forward(x, compute, {}).y;
}

DropoutMask LoraLinear::mask(const DropoutKeys& keys) const {
  if (dropout_ == 0.0 || !keys.row_keys.defined()) return {};
  return {dropout_, RandomStream(keys.step_key, a_->name).bits(0), keys.row_keys};
}

LinearForward LoraLinear::train_forward(const at::Tensor& x, Compute compute, const DropoutKeys& keys) const {
  return train_forward_from(matrix_.multiply(x, compute), x, keys);
}

LinearForward LoraLinear::train_forward_from(at::Tensor product, const at::Tensor& x, const DropoutKeys& keys) const {
  const at::Tensor& y = product;
  const at::Tensor& a = operand(*a_, x);
  const at::Tensor& b = operand(*b_, x);
  const at::Tensor low = at::linear(dropout(x, mask(keys)).to(a.scalar_type()), a);
  if (b.scalar_type() == y.scalar_type()) return {y.addmm_(low, b.t(), /*beta=*/1, /*alpha=*/scale_), {low}};
  const at::Tensor update = at::linear(low, b).mul_(scale_);
  return {y.to(at::kFloat).add_(update).to(y.scalar_type()), {low}};
}

at::Tensor LoraLinear::backward(LinearBackward in) const {
  const DropoutMask mask = this->mask(*in.keys);
  const at::Tensor dlow = scaled_product(in.dy, operand(*b_, in.dy), scale_);
  if (trained_) {
    add_outer_products(b_->gradient, in.dy, in.tape->low, scale_);
    add_outer_products(a_->gradient, dlow, dropout(in.x, mask));
  }
  if (!in.input_gradient) return {};
  const at::Tensor dx = matrix_.input_gradient(wanted_rows(in.dy, in), in.compute, in.onto);
  const at::Tensor wanted_low = wanted_rows(dlow, in);
  if (mask.probability == 0.0) return dx.addmm_(wanted_low, operand(*a_, in.dy));
  add_dropout(dx, at::mm(wanted_low, operand(*a_, in.dy)),
              {mask.probability, mask.key, wanted_rows(mask.row_keys, in)});
  return dx;
}

TrainedLinear::TrainedLinear(std::shared_ptr<Parameter> weight, std::shared_ptr<Parameter> bias)
    : weight_(std::move(weight)), bias_(std::move(bias)) {}

FrozenMatrix TrainedLinear::matrix() const {
  return FrozenMatrix(weight_->value.defined() ? weight_->value : weight_->rounded,
                      bias_ ? bias_->value : at::Tensor());
}

at::Tensor TrainedLinear::forward(const at::Tensor& x, Compute compute) const {
  return FrozenMatrix(weight_->operand(compute), bias_ ? bias_->value : at::Tensor()).multiply(x, compute);
}

at::Tensor TrainedLinear::backward(LinearBackward in) const {
  add_outer_products(weight_->gradient, in.dy, in.x);
  if (bias_) bias_->gradient.add_(in.dy.sum(0, /*keepdim=*/false, at::kFloat));
  if (!in.input_gradient) return {};
  return FrozenMatrix(weight_->operand(in.compute)).input_gradient(wanted_rows(in.dy, in), in.compute, in.onto);
}

}  // namespace striate
