#include "striate/train/optimizer.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/parallel.h"

namespace striate {
namespace {

// Sum of squares. Eight sums side by side let the compiler use vector registers without changing the order of sums.
double square_sum(const float* values, std::int64_t count) {
  constexpr std::int64_t kLanes = 8;
  std::array<double, kLanes> sums{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      sums[static_cast<std::size_t>(lane)] += value * value;
    }
  }
  double rest = 0;
  for (; i < count; ++i) rest += static_cast<double>(values[i]) * values[i];
  return std::accumulate(sums.begin(), sums.end(), rest);
}

}  // namespace

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
  exp_avg_ = at::zeros_like(parameters.values());
  exp_avg_sq_ = at::zeros_like(parameters.values());
  std::map<std::pair<ParameterGroup, bool>, std::vector<Range>> calls;
  std::int64_t begin = 0;
  const Range* last = nullptr;
  for (const auto& parameter : parameters.all()) {
    const std::int64_t size = parameter->value.numel();
    std::vector<Range>& ranges = calls[{parameter->group, parameter->decays}];
    // Views of one flat tensor: neighbours of the same settings are one range of it.
    if (last != nullptr && !ranges.empty() && last == &ranges.back()) {
      ranges.back().size += size;
    } else {
      ranges.push_back({parameter->group, parameter->decays, begin, size});
    }
    last = &ranges.back();
    begin += size;
  }
  if (begin != parameters.count()) throw internal_error("parameters do not fill their flat tensor");
  for (auto& [settings, ranges] : calls) calls_.push_back(std::move(ranges));
}

void AdamW::update(const std::vector<Range>& ranges, double rate, double decay,
                   const std::optional<at::Tensor>& divisor) {
  std::vector<at::Tensor> values, gradients, first, second, steps;
  // The kernel takes the number of this update, as torch.optim counts it: from 1.
  const at::Tensor step = at::full({}, static_cast<double>(updates_), parameters_.values().options());
  for (const Range& range : ranges) {
    const auto part = [&](const at::Tensor& flat) { return flat.narrow(0, range.begin, range.size); };
    values.push_back(part(parameters_.values()));
    gradients.push_back(part(parameters_.gradients()));
    first.push_back(part(exp_avg_));
    second.push_back(part(exp_avg_sq_));
    steps.push_back(step);
  }
  at::_fused_adamw_(values, gradients, first, second, {}, steps, rate, options_.beta1, options_.beta2, decay,
                    options_.epsilon, /*amsgrad=*/false, /*maximize=*/false, divisor);
}

void AdamW::step(const GroupRates& rates, double gradient_factor) {
  ++updates_;
  std::optional<at::Tensor> divisor;  // the kernel divides gradients by it
  if (gradient_factor != 1.0) divisor = at::full({}, 1.0 / gradient_factor, parameters_.values().options());
  for (const std::vector<Range>& ranges : calls_) {
    const Range& settings = ranges.front();
    update(ranges, rates.of(settings.group), settings.decays ? options_.weight_decay : 0.0, divisor);
  }
  parameters_.refresh();
}

NamedTensors AdamW::moments() const {
  NamedTensors named;
  std::int64_t begin = 0;
  for (const auto& parameter : parameters_.all()) {
    const std::int64_t size = parameter->value.numel();
    const auto part = [&](const at::Tensor& flat) {
      return flat.narrow(0, begin, size).view(parameter->value.sizes());
    };
    named.emplace_back("exp_avg." + parameter->name, part(exp_avg_));
    named.emplace_back("exp_avg_sq." + parameter->name, part(exp_avg_sq_));
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
  constexpr std::int64_t kChunk = 1 << 16;
  const std::int64_t count = gradients.numel();
  const std::int64_t chunks = (count + kChunk - 1) / kChunk;
  const float* values = gradients.const_data_ptr<float>();
  std::vector<double> sums(static_cast<std::size_t>(chunks));
  parallel_ranges(chunks, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t begin = i * kChunk;
      sums[static_cast<std::size_t>(i)] = square_sum(values + begin, std::min(kChunk, count - begin));
    }
  });
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

double clip_factor(double norm, double max_norm) {
  if (max_norm <= 0) return 1.0;
  return std::min(1.0, max_norm / (norm + 1e-6));
}

}  // namespace striate
