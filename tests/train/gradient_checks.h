// What the tests of training passes share: samples, regions, and the slope of a loss.
#pragma once

#include <functional>
#include <vector>

#include "striate/train/tunable.h"
#include "tests/support/tiny_model.h"

namespace striate::test {

// Three tiny samples of different lengths.
std::vector<Sample> samples();
// LoRA of rank 4, or all weights, on these layers of a decoder of `depth`.
TuneOptions region(std::vector<std::int64_t> layers, TuneKind kind = TuneKind::kLora, std::int64_t depth = 3);
// Moves every parameter off its start: B starts at zero, where A has no gradient.
void scatter(Tunable& tunable);
// |got - want| / |want|.
double relative_difference(const at::Tensor& got, const at::Tensor& want);

// Holds every parameter's gradient to central differences of the loss along it. `loss` runs a pass with the parameters
// as they are, which adds to their gradients, and returns what they are the gradient of.
void expect_gradients_are_slopes(Tunable& tunable, const std::function<double()>& loss);

}  // namespace striate::test
