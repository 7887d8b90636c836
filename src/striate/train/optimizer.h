// AdamW over the parameters of a run.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "striate/model/parameter.h"

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

// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), LibTorch's fused kernel: the numbers are
// those of torch.optim.AdamW(fused=True). Moments are fp32, one flat tensor each, for what is trained and nothing else.
class AdamW {
 public:
  // `parameters` must outlive the optimiser.
  AdamW(ParameterSet& parameters, const AdamWOptions& options);

  // One update with the gradients, multiplied by `gradient_factor` (which changes them), at these rates; brings the
  // parameters' rounded copies up to date.
  void step(const GroupRates& rates, double gradient_factor = 1.0);

  // Updates made so far.
  std::int64_t updates() const { return updates_; }

  // Both moments of every parameter under its name: `exp_avg.NAME` and `exp_avg_sq.NAME`; views, on the device.
  NamedTensors moments() const;
  // Takes up where an earlier optimiser stood: copy `moments()` first, then say how many updates they hold.
  void set_updates(std::int64_t updates) { updates_ = updates; }

 private:
  // Neighbouring parameters that are updated alike, as one range of the flat tensors.
  struct Range {
    ParameterGroup group;
    bool decays;
    std::int64_t begin;
    std::int64_t size;
  };

  void update(const std::vector<Range>& ranges, double rate, double decay, const std::optional<at::Tensor>& divisor);

  ParameterSet& parameters_;
  AdamWOptions options_;
  at::Tensor exp_avg_;                     // [count] fp32
  at::Tensor exp_avg_sq_;                  // [count] fp32
  std::vector<std::vector<Range>> calls_;  // ranges of the same settings together
  std::int64_t updates_ = 0;
};

// The Euclidean norm of all gradients, summed in double in an order that does not depend on the number of threads.
// Finite exactly when every gradient is.
double gradient_norm(const ParameterSet& parameters);

// What gradients of this norm are multiplied by so that it is `max_norm` at most: torch's clip_grad_norm_. 1 when
// max_norm is 0 (no clipping).
double clip_factor(double norm, double max_norm);

}  // namespace striate
