// AdamW over the parameters of a run.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "striate/model/parameter.h"
#include "striate/tensor/optimizer_ops.h"

namespace striate {

// Learning rates by ParameterGroup.
struct GroupRates {
  double projector = 2e-5;
  double adapter = 2e-4;
  double decoder = 2e-5;
  double vision_tower = 2e-6;

  double of(ParameterGroup group) const;
  GroupRates scaled(double factor) const;
};

// "projector", "adapter", "decoder", "vision_tower".
std::string group_name(ParameterGroup group);

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  // on parameters with `decays` only: biases and norms never shrink
};

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), LibTorch's fused kernel or ours: the
// numbers are those of torch.optim.AdamW(fused=True). Moments are fp32, one flat tensor each, for what is trained and
// nothing else.
class AdamW {
 public:
  // `parameters` must outlive the optimiser. Throws Internal for more than 8 pairs of group and `decays`.
  AdamW(ParameterSet& parameters, const AdamWOptions& options);

  // One update with the gradients, multiplied by `gradient_factor` (which changes them), at these rates; brings the
  // parameters' rounded copies up to date.
  void step(const GroupRates& rates, double gradient_factor = 1.0);

  // The norm of the gradients, clipping to `max_norm` (0: none) and the update, without a wait for the device: an
  // update is made where the norm and all of `losses` (fp64, any shape, on the parameters' device; may be undefined)
  // are finite, else nothing changes. Gradients are undefined afterwards. Returns a view of [kStepSlots] fp64 numbers
  // on the device (StepSlot), which hold until the next call.
  const at::Tensor& step_if_finite(const GroupRates& rates, double max_norm, const at::Tensor& losses = {});

  // Updates made so far. Waits for the device after step_if_finite().
  std::int64_t updates() const;

  // Both moments of every parameter under its name: `exp_avg.NAME` and `exp_avg_sq.NAME`; views, on the device.
  NamedTensors moments() const;
  // Takes up where an earlier optimiser stood: copy `moments()` first, then say how many updates they hold.
  void set_updates(std::int64_t updates);

 private:
  AdamWSettings settings(const GroupRates& rates) const;

  ParameterSet& parameters_;
  AdamWOptions options_;
  AdamWState state_;
  std::vector<std::pair<ParameterGroup, bool>> kinds_;  // group and `decays` of each kind of AdamWState
  std::int64_t updates_ = 0;
  // What step_if_finite() leaves on the device, the number of updates among it; undefined while `updates_` holds them.
  at::Tensor step_;
};

// The Euclidean norm of all gradients, summed in double in an order that does not depend on the number of threads.
// Finite exactly when every gradient is.
double gradient_norm(const ParameterSet& parameters);

// What gradients of this norm are multiplied by so that it is `max_norm` at most: torch's clip_grad_norm_. 1 when
// max_norm is 0 (no clipping).
double clip_factor(double norm, double max_norm);

}  // namespace striate
