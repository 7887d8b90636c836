// What an optimiser step is made of, over flat fp32 tensors of all parameters: the norm of the gradients, a judgement
// of it, and AdamW. On a GPU each is one kernel, and nothing waits for the host.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace striate {

// values [count] -> [ceil(count / kSquareBlock)] fp64: the sums of squares of its blocks, each in an order that depends
// on the block's length alone.
inline constexpr std::int64_t kSquareBlock = 1 << 16;
at::Tensor square_sums(const at::Tensor& values);

// What a step knows about itself: kStepSlots fp64 numbers on the parameters' device.
enum StepSlot : std::int64_t {
  kStepNorm,              // of the gradients, before clipping
  kStepFactor,            // what gradients are multiplied by
  kStepApplied,           // 1: the update is made; 0: norm or losses are not finite, and nothing changes
  kStepUpdates,           // how many were made, with this one
  kStepFirstCorrection,   // 1 / (1 - beta1^updates)
  kStepSecondCorrection,  // 1 / sqrt(1 - beta2^updates)
  kStepSlots
};

struct Betas {
  double first = 0.9;
  double second = 0.999;
};

// Fills `step` from square_sums() of the gradients, for clipping to `max_norm` (0: none), and counts the update unless
// the norm or one of `losses` [any] fp64 is not finite.
void judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                     Betas betas);

// The same numbers where the factor is known and the update is wanted; [kStepSlots] fp64 on the CPU.
at::Tensor wanted_step(double factor, std::int64_t updates, Betas betas);

// Flat tensors of `count` elements, which `ends` cuts into ranges: range r ends before ends[r] and has the settings
// number kinds[r], at most 8 of them.
struct AdamWState {
  at::Tensor values, first, second;  // [count] fp32
  at::Tensor rounded;                // [count] bf16, the values' copy; or [0]
  at::Tensor gradients;              // [count] fp32; undefined afterwards
  std::vector<std::int64_t> ends, kinds;
};
struct AdamWSettings {
  std::vector<double> rates, decays;  // by kind
  Betas betas;
  double eps = 1e-8;
};

// One update of Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101) where `step` says so; the
// rounded copies follow.
void adamw_in_place(const AdamWState& state, const at::Tensor& step, const AdamWSettings& settings);

}  // namespace striate
