#include "striate/train/optimizer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "striate/base/error.h"

namespace striate {

double GroupRates::of(ParameterGroup group) const {
  switch (group) {
    case ParameterGroup::kProjector:
      return projector;
    case ParameterGroup::kAdapter:
      return adapter;
    case ParameterGroup::kDecoder:
      return decoder;
    case ParameterGroup::kVisionTower:
      return vision_tower;
  }
  throw internal_error("unknown parameter group");
}

GroupRates GroupRates::scaled(double factor) const {
  return {projector * factor, adapter * factor, decoder * factor, vision_tower * factor};
}

std::string group_name(ParameterGroup group) {
  switch (group) {
    case ParameterGroup::kProjector:
      return "projector";
    case ParameterGroup::kAdapter:
      return "adapter";
    case ParameterGroup::kDecoder:
      return "decoder";
    case ParameterGroup::kVisionTower:
      return "vision_tower";
  }
  throw internal_error("unknown parameter group");
}

AdamW::AdamW(ParameterSet& parameters, const AdamWOptions& options) : parameters_(parameters), options_(options) {
  constexpr std::size_t kMostKinds = 8;
  if (parameters.count() == 0) return;
  const at::Tensor& values = parameters.values();
  const at::Tensor none = at::empty({0}, values.options().dtype(at::kBFloat16));
  state_ = {values,
            at::zeros_like(values),
            at::zeros_like(values),
            parameters.rounded().defined() ? parameters.rounded() : none,
            parameters.gradients(),
            {},
            {}};
  std::int64_t end = 0;
  for (const auto& parameter : parameters.all()) {
    end += parameter->value.numel();
    const std::pair<ParameterGroup, bool> settings(parameter->group, parameter->decays);
    const auto place = std::find(kinds_.begin(), kinds_.end(), settings);
    const std::int64_t kind = place - kinds_.begin();
    if (place == kinds_.end()) kinds_.push_back(settings);
    // Views of one flat tensor: neighbours of the same settings are one range of it.
    if (!state_.kinds.empty() && state_.kinds.back() == kind) {
      state_.ends.back() = end;
    } else {
      state_.ends.push_back(end);
      state_.kinds.push_back(kind);
    }
  }
  if (end != parameters.count()) throw internal_error("parameters do not fill their flat tensor");
  if (kinds_.size() > kMostKinds) throw internal_error("more kinds of parameters than an update tells apart");
}

AdamWSettings AdamW::settings(const GroupRates& rates) const {
  AdamWSettings settings;
  settings.betas = {options_.beta1, options_.beta2};
  settings.eps = options_.epsilon;
  for (const auto& [group, decays] : kinds_) {
    settings.rates.push_back(rates.of(group));
    settings.decays.push_back(decays ? options_.weight_decay : 0.0);
  }
  return settings;
}

void AdamW::step(const GroupRates& rates, double gradient_factor) {
  set_updates(updates() + 1);
  if (parameters_.count() == 0) return;
  const AdamWSettings settings = this->settings(rates);
  const at::Tensor step = wanted_step(gradient_factor, updates_, settings.betas);
  adamw_in_place(state_, step.to(state_.values.device()), settings);
}

const at::Tensor& AdamW::step_if_finite(const GroupRates& rates, double max_norm, const at::Tensor& losses) {
  if (parameters_.count() == 0) throw internal_error("an update of no parameters");
  const AdamWSettings settings = this->settings(rates);
  const at::TensorOptions options = state_.values.options().dtype(at::kDouble);
  if (!step_.defined()) step_ = at::full({kStepSlots}, static_cast<double>(updates_), options);
  judge_gradients(step_, square_sums(state_.gradients), losses.defined() ? losses : at::empty({0}, options), max_norm,
                  settings.betas);
  adamw_in_place(state_, step_, settings);
  return step_;
}

std::int64_t AdamW::updates() const {
  return step_.defined() ? std::llround(step_[kStepUpdates].item<double>()) : updates_;
}

void AdamW::set_updates(std::int64_t updates) {
  updates_ = updates;
  step_.reset();
}

NamedTensors AdamW::moments() const {
  NamedTensors named;
  std::int64_t begin = 0;
  for (const auto& parameter : parameters_.all()) {
    const std::int64_t size = parameter->value.numel();
    const auto part = [&](const at::Tensor& flat) {
      return flat.narrow(0, begin, size).view(parameter->value.sizes());
    };
    named.emplace_back("exp_avg." + parameter->name, part(state_.first));
    named.emplace_back("exp_avg_sq." + parameter->name, part(state_.second));
    begin += size;
  }
  return named;
}

double gradient_norm(const ParameterSet& parameters) {
  const at::Tensor& gradients = parameters.gradients();
  if (parameters.count() == 0) return 0;
  if (!gradients.is_cpu()) {
    return at::linalg_vector_norm(gradients, 2, std::nullopt, false, at::kDouble).item<double>();
  }
  const at::Tensor sums = square_sums(gradients);
  const auto* sum = sums.const_data_ptr<double>();
  return std::sqrt(std::accumulate(sum, sum + sums.numel(), 0.0));
}

double clip_factor(double norm, double max_norm) {
  if (max_norm <= 0) return 1.0;
  return std::min(1.0, max_norm / (norm + 1e-6));
}

}  // namespace striate
