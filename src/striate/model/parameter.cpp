#include "striate/model/parameter.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {

ParameterSet::ParameterSet(std::vector<std::shared_ptr<Parameter>> parameters, Compute compute)
    : parameters_(std::move(parameters)) {
  std::int64_t total = 0;
  std::set<std::string> names;
  for (const auto& parameter : parameters_) {
    if (parameter->value.scalar_type() != at::kFloat) throw internal_error(parameter->name + " is not fp32");
    if (!names.insert(parameter->name).second) throw internal_error(parameter->name + " occurs twice");
    total += parameter->value.numel();
  }
  if (parameters_.empty()) return;
  const at::TensorOptions options = parameters_.front()->value.options();
  values_ = at::empty({total}, options);
  gradients_ = at::zeros({total}, options);
  if (compute == Compute::kBFloat16) rounded_ = at::empty({total}, options.dtype(at::kBFloat16));
  std::int64_t offset = 0;
  for (const auto& parameter : parameters_) {
    const at::IntArrayRef shape = parameter->value.sizes();
    const std::int64_t end = offset + parameter->value.numel();
    const at::Tensor value = values_.slice(0, offset, end).view(shape);
    value.copy_(parameter->value);
    parameter->gradient = gradients_.slice(0, offset, end).view(shape);
    if (rounded_.defined()) parameter->rounded = rounded_.slice(0, offset, end).view(shape);
    parameter->value = value;
    offset = end;
  }
  refresh();
}

void ParameterSet::zero_gradients() {
  if (gradients_.defined()) gradients_.zero_();
}

bool ParameterSet::drop_values() {
  const auto is_tower = [](const auto& p) { return p->group == ParameterGroup::kVisionTower; };
  if (!rounded_.defined() || std::any_of(parameters_.begin(), parameters_.end(), is_tower)) return false;
  for (const auto& parameter : parameters_) {
    parameter->value = parameter->rounded_suffices ? at::Tensor() : parameter->value.clone();
  }
  values_.reset();
  return true;
}

void ParameterSet::refresh() {
  if (rounded_.defined()) rounded_.copy_(values_);
}

}  // namespace striate
