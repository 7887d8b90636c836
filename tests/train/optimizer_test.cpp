#include "striate/train/optimizer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "tests/train/random_tensor.h"

namespace striate {
namespace {

std::shared_ptr<Parameter> parameter(const std::string& name, ParameterGroup group, bool decays, at::Tensor value) {
  auto made = std::make_shared<Parameter>();
  made->name = name;
  made->group = group;
  made->decays = decays;
  made->value = std::move(value);
  return made;
}

// Projector with a bias, and two adapters: three settings in an order that mixes them.
ParameterSet some_parameters(Compute compute = Compute::kFloat32) {
  return ParameterSet({parameter("projector.0.weight", ParameterGroup::kProjector, true, random_tensor({3, 4}, 1)),
                       parameter("projector.0.bias", ParameterGroup::kProjector, false, random_tensor({3}, 2)),
                       parameter("a", ParameterGroup::kAdapter, true, random_tensor({2, 5}, 3)),
                       parameter("b", ParameterGroup::kAdapter, true, random_tensor({5, 2}, 4)),
                       parameter("projector.2.weight", ParameterGroup::kProjector, true, random_tensor({4, 4}, 5))},
                      compute);
}

void fill_gradients(const ParameterSet& parameters, std::uint64_t seed) {
  const at::Tensor gradients = parameters.gradients();
  gradients.copy_(random_tensor({parameters.count()}, seed));
}

// AdamW as its authors write it, in double.
struct Reference {
  double value, first = 0, second = 0;
  void step(double gradient, double rate, double decay, int number) {
    value -= rate * decay * value;
    first = 0.9 * first + 0.1 * gradient;
    second = 0.999 * second + 0.001 * gradient * gradient;
    const double corrected = second / (1 - std::pow(0.999, number));
    value -= rate * (first / (1 - std::pow(0.9, number))) / (std::sqrt(corrected) + 1e-8);
  }
};

TEST(AdamW, IsTheFormulaWithRatesAndDecayByParameter) {
  ParameterSet parameters = some_parameters();
  AdamWOptions options;
  options.weight_decay = 0.1;
  AdamW optimizer(parameters, options);
  GroupRates rates;
  rates.projector = 0.01;
  rates.adapter = 0.05;
  std::vector<Reference> expected;
  for (std::int64_t i = 0; i < parameters.count(); ++i) expected.push_back({parameters.values()[i].item<double>()});
  for (int number = 1; number <= 5; ++number) {
    fill_gradients(parameters, 100 + static_cast<std::uint64_t>(number));
    std::int64_t i = 0;
    for (const auto& p : parameters.all()) {
      for (std::int64_t j = 0; j < p->value.numel(); ++j, ++i) {
        expected[static_cast<std::size_t>(i)].step(0.5 * parameters.gradients()[i].item<double>(), rates.of(p->group),
                                                   p->decays ? 0.1 : 0.0, number);
      }
    }
    optimizer.step(rates, 0.5);
  }
  EXPECT_EQ(optimizer.updates(), 5);
  for (std::int64_t i = 0; i < parameters.count(); ++i) {
    EXPECT_NEAR(parameters.values()[i].item<double>(), expected[static_cast<std::size_t>(i)].value, 2e-6) << i;
  }
}

TEST(AdamW, AnotherOptimizerWithItsMomentsGoesOnBitForBit) {
  ParameterSet through = some_parameters();
  ParameterSet broken = some_parameters();
  AdamW whole(through, {});
  AdamW first(broken, {});
  const GroupRates rates{0.01, 0.02, 0.03, 0.04};
  for (std::uint64_t step = 0; step < 6; ++step) {
    fill_gradients(through, step);
    whole.step(rates);
  }
  for (std::uint64_t step = 0; step < 3; ++step) {
    fill_gradients(broken, step);
    first.step(rates);
  }
  AdamW second(broken, {});
  NamedTensors target = second.moments();
  const NamedTensors saved = first.moments();
  for (std::size_t i = 0; i < saved.size(); ++i) {
    EXPECT_EQ(saved[i].first, target[i].first);
    target[i].second.copy_(saved[i].second);
  }
  second.set_updates(first.updates());
  for (std::uint64_t step = 3; step < 6; ++step) {
    fill_gradients(broken, step);
    second.step(rates);
  }
  EXPECT_TRUE(at::equal(through.values(), broken.values()));
}

TEST(AdamW, RefreshesTheRoundedCopies) {
  ParameterSet parameters = some_parameters(Compute::kBFloat16);
  AdamW optimizer(parameters, {});
  fill_gradients(parameters, 1);
  optimizer.step({0.1, 0.1, 0.1, 0.1});
  for (const auto& p : parameters.all()) {
    EXPECT_TRUE(at::equal(p->rounded, p->value.to(at::kBFloat16))) << p->name;
  }
}

TEST(AdamW, AZeroRateChangesNothing) {
  ParameterSet parameters = some_parameters();
  const at::Tensor before = parameters.values().clone();
  AdamW optimizer(parameters, {});
  fill_gradients(parameters, 1);
  optimizer.step({0, 0, 0, 0});
  EXPECT_TRUE(at::equal(parameters.values(), before));
}

TEST(AdamW, AStepWithoutAWaitIsNormClipAndStepBitForBit) {
  ParameterSet apart = some_parameters(Compute::kBFloat16), together = some_parameters(Compute::kBFloat16);
  AdamWOptions options;
  options.weight_decay = 0.1;
  AdamW first(apart, options), second(together, options);
  second.set_updates(0);
  const GroupRates rates{0.01, 0.02, 0.03, 0.04};
  for (std::uint64_t step = 0; step < 4; ++step) {
    const double max_norm = step == 1 ? 0.0 : 0.5;
    fill_gradients(apart, step);
    fill_gradients(together, step);
    const double norm = gradient_norm(apart);
    first.step(rates, clip_factor(norm, max_norm));
    const at::Tensor judged = second.step_if_finite(rates, max_norm);
    EXPECT_EQ(judged[kStepNorm].item<double>(), norm);
    EXPECT_EQ(judged[kStepApplied].item<double>(), 1.0);
  }
  EXPECT_EQ(second.updates(), 4);
  EXPECT_TRUE(at::equal(apart.values(), together.values()));
  EXPECT_TRUE(at::equal(apart.rounded(), together.rounded()));
  for (std::size_t i = 0; i < first.moments().size(); ++i) {
    EXPECT_TRUE(at::equal(first.moments()[i].second, second.moments()[i].second));
  }
}

TEST(AdamW, NothingChangesWhereTheNormOrALossIsNotFinite) {
  ParameterSet parameters = some_parameters();
  AdamW optimizer(parameters, {});
  const GroupRates rates{0.1, 0.1, 0.1, 0.1};
  fill_gradients(parameters, 1);
  optimizer.step(rates);
  const at::Tensor before = parameters.values().clone();
  const at::Tensor moment = optimizer.moments()[0].second.clone();
  const at::Tensor bad = at::full({1}, std::nan(""), at::kDouble);
  EXPECT_EQ(optimizer.step_if_finite(rates, 1.0, bad)[kStepApplied].item<double>(), 0.0);
  const at::Tensor gradients = parameters.gradients();
  gradients[3] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(optimizer.step_if_finite(rates, 1.0)[kStepApplied].item<double>(), 0.0);
  EXPECT_EQ(optimizer.updates(), 1);
  EXPECT_TRUE(at::equal(parameters.values(), before));
  EXPECT_TRUE(at::equal(optimizer.moments()[0].second, moment));
  fill_gradients(parameters, 2);
  EXPECT_EQ(optimizer.step_if_finite(rates, 1.0, bad.zero_())[kStepApplied].item<double>(), 1.0);
  EXPECT_EQ(optimizer.updates(), 2);
  EXPECT_FALSE(at::equal(parameters.values(), before));
}

TEST(GradientNorm, IsThatOfAllGradientsWhateverTheThreads) {
  ParameterSet parameters({parameter("a", ParameterGroup::kAdapter, true, random_tensor({1000, 333}, 1))},
                          Compute::kFloat32);
  fill_gradients(parameters, 9);
  const double expected = parameters.gradients().to(at::kDouble).norm().item<double>();
  const int threads = at::get_num_threads();
  const double norm = gradient_norm(parameters);
  EXPECT_NEAR(norm, expected, 1e-9 * expected);
  at::set_num_threads(1);
  EXPECT_EQ(gradient_norm(parameters), norm);
  at::set_num_threads(threads);
}

TEST(GradientNorm, IsFiniteExactlyWhenEveryGradientIs) {
  ParameterSet parameters = some_parameters();
  const at::Tensor gradients = parameters.gradients();
  fill_gradients(parameters, 1);
  gradients[7] = std::numeric_limits<float>::max();
  gradients[8] = std::numeric_limits<float>::lowest();
  EXPECT_TRUE(std::isfinite(gradient_norm(parameters)));
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    gradients[7] = bad;
    EXPECT_FALSE(std::isfinite(gradient_norm(parameters)));
  }
}

TEST(ClipFactor, IsTorchs) {
  EXPECT_EQ(clip_factor(5, 0), 1);
  EXPECT_EQ(clip_factor(0.5, 1), 1);
  EXPECT_DOUBLE_EQ(clip_factor(4, 1), 1 / (4 + 1e-6));
}

}  // namespace
}  // namespace striate
