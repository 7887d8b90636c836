// How fast machines multiply: the rates from which a plan estimates time.
#pragma once

#include <optional>
#include <string>

#include "striate/tensor/matrix.h"
#include "striate/train/plan.h"

namespace striate {

// Floating-point operations a second of this machine's CPU on the products of training, measured now: a frozen bf16
// weight of 2048 x 2048 times 512 tokens, for about a third of a second, on as many threads as LibTorch is set to.
double measured_cpu_rate(Compute compute);

// Operations a second that a plan assumes for a run on a CPU that multiplies at `measured`: 0.8 of it. A training step
// took 1.10 to 1.24 times as long as its products alone in the wide shape of docs/performance.md.
double assumed_cpu_rate(double measured);

// Hardware::bf16_rate of the GPU that calls itself `name` ("NVIDIA A100-SXM4-80GB" is an a100-80 to a plan: the name
// before the memory, whatever stands between the words); 0 where it is not known.
double stated_gpu_rate(const std::string& name);

// The same for a GPU: a third of what its maker states for dense bf16 products with fp32 sums. An assumption, not
// measured. nullopt where the maker states none (GPUs without bf16 units), and for compute in fp32.
std::optional<double> assumed_gpu_rate(const Hardware& hardware, Compute compute);

}  // namespace striate
