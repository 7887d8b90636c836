#include "striate/tensor/optimizer_ops.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "striate/tensor/composed_ops.h"
#include "striate/tensor/operators.h"
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

void count_update(double* step, double updates, Betas betas) {
  step[kStepUpdates] = updates;
  step[kStepFirstCorrection] = 1.0 / (1.0 - std::pow(betas.first, updates));
  step[kStepSecondCorrection] = 1.0 / std::sqrt(1.0 - std::pow(betas.second, updates));
}

}  // namespace

at::Tensor square_sums(const at::Tensor& values) {
  if (!values.is_cpu()) return operators::square_sums(values);
  const std::int64_t count = values.numel();
  const std::int64_t chunks = (count + kSquareBlock - 1) / kSquareBlock;
  at::Tensor sums = at::empty({chunks}, values.options().dtype(at::kDouble));
  const float* in = values.const_data_ptr<float>();
  double* out = sums.mutable_data_ptr<double>();
  parallel_ranges(chunks, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t begin = i * kSquareBlock;
      out[i] = square_sum(in + begin, std::min(kSquareBlock, count - begin));
    }
  });
  return sums;
}

void judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                     Betas betas) {
  if (!step.is_cpu()) return operators::judge_gradients(step, sums, losses, max_norm, betas.first, betas.second);
  const double* sum = sums.const_data_ptr<double>();
  const double norm = std::sqrt(std::accumulate(sum, sum + sums.numel(), 0.0));
  const double* loss = losses.const_data_ptr<double>();
  const bool applied = std::isfinite(norm) &&
                       std::all_of(loss, loss + losses.numel(), [](double value) { return std::isfinite(value); });
  auto* slots = step.mutable_data_ptr<double>();
  slots[kStepNorm] = norm;
  slots[kStepFactor] = max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
  slots[kStepApplied] = applied ? 1.0 : 0.0;
  if (applied) count_update(slots, slots[kStepUpdates] + 1.0, betas);
}

at::Tensor wanted_step(double factor, std::int64_t updates, Betas betas) {
  at::Tensor step = at::empty({kStepSlots}, at::TensorOptions(at::kDouble));
  auto* slots = step.mutable_data_ptr<double>();
  slots[kStepNorm] = 0;
  slots[kStepFactor] = factor;
  slots[kStepApplied] = 1;
  count_update(slots, static_cast<double>(updates), betas);
  return step;
}

void adamw_in_place(const AdamWState& state, const at::Tensor& step, const AdamWSettings& settings) {
  if (!state.values.is_cpu()) {
    return operators::adamw_in_place(state.values, state.first, state.second, state.rounded, state.gradients, step,
                                     state.ends, state.kinds, settings.rates, settings.decays, settings.betas.first,
                                     settings.betas.second, settings.eps);
  }
  composed::adamw_in_place(state, step, settings);
}

}  // namespace striate
