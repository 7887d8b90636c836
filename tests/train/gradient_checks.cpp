#include "tests/train/gradient_checks.h"

#include <gtest/gtest.h>

#include <cmath>

namespace striate::test {

std::vector<Sample> samples() {
  return {tiny_sample(0, 9), tiny_sample(1, 14), tiny_sample(2, 6)};
}

TuneOptions region(std::vector<std::int64_t> layers, TuneKind kind, std::int64_t depth) {
  TuneOptions options;
  options.layers = LayerSet(depth, std::move(layers));
  options.kind = kind;
  options.lora.rank = 4;
  options.lora.alpha = 8;
  return options;
}

void scatter(Tunable& tunable) {
  at::Generator generator = at::detail::createCPUGenerator(3);
  at::Tensor values = tunable.parameters().values();
  values.add_(at::empty(values.sizes(), at::kFloat).normal_(0.0, 0.05, generator).to(values.device()));
  tunable.parameters().refresh();
}

double relative_difference(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).norm() / want.norm()).item<double>();
}

void expect_gradients_are_slopes(Tunable& tunable, const std::function<double()>& loss) {
  const auto fresh_loss = [&] {
    tunable.parameters().zero_gradients();
    tunable.parameters().refresh();
    return loss();
  };
  for (const auto& parameter : tunable.parameters().all()) {
    fresh_loss();
    const at::Tensor gradient = parameter->gradient.clone();
    // A constant added to every key changes no attention; anything else must have been given a gradient.
    const bool is_key_bias = parameter->name.find("k_proj.bias") != std::string::npos;
    EXPECT_TRUE(is_key_bias || gradient.norm().item<double>() > 1e-4) << parameter->name;
    const at::Tensor start = parameter->value.clone();
    const at::Tensor direction = gradient / gradient.norm().clamp_min(1e-12);
    const double slope = (gradient.to(at::kDouble) * direction.to(at::kDouble)).sum().item<double>();
    constexpr double kStep = 2e-3;
    parameter->value.copy_(start + direction * kStep);
    const double above = fresh_loss();
    parameter->value.copy_(start - direction * kStep);
    const double below = fresh_loss();
    parameter->value.copy_(start);
    EXPECT_NEAR((above - below) / (2 * kStep), slope, 0.02 * std::abs(slope) + 5e-3) << parameter->name;
  }
}

}  // namespace striate::test
