// AdamW over the parameters of a run.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "striate/model/parameter.h"
#include "striate/ranks/block_share.h"
#include "striate/ranks/collective.h"
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
//
// Shared by ranks (ZeRO's first stage: Rajbhandari et al., arXiv 1910.02054), each keeps the moments and master values
// of its own blocks (ranks/block_share.h), is given the sums of their gradients, and hands the new values to the
// others. The bits are those of an optimiser that is not shared. Every call but moments of one's own is then one of all
// ranks.
class AdamW {
 public:
  // `parameters` and `sharing` must outlive the optimiser; without `sharing` everything is this process's. Throws
  // Internal for more than 8 pairs of group and `decays`.
  AdamW(ParameterSet& parameters, const AdamWOptions& options, Collective* sharing = nullptr);

  // Where the sums of gradients are expected: [BlockShare::own_size()] of a shared optimiser; else undefined, and they
  // are expected in the parameters' own.
  at::Tensor own_gradients() const { return share_ ? own_gradients_ : at::Tensor(); }

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

  // What a checkpoint keeps of every parameter: its value under its name, and both moments as `exp_avg.NAME` and
  // `exp_avg_sq.NAME`. Views, on the device; of what ranks share copies in main memory, on rank 0 alone.
  NamedTensors values() const;
  NamedTensors moments() const;
  // Takes up where an earlier optimiser stood: `stored` gives what values() and moments() named, and the moments hold
  // so many updates.
  void restore(const std::function<at::Tensor(const std::string& name, at::IntArrayRef shape)>& stored,
               std::int64_t updates);
  // The end of training: parameters have their values again, in main memory where ranks share them, on rank 0 alone.
  void return_values();
  void set_updates(std::int64_t updates);

 private:
  AdamWSettings settings(const GroupRates& rates) const;
  std::int64_t kind_of(const Parameter& parameter);
  void find_ranges(const BlockShare& share);
  void take_own(const at::Tensor& flat, std::int64_t begin, const at::Tensor& own) const;
  void update(const at::Tensor& step, const AdamWSettings& settings);
  at::Tensor all_square_sums() const;
  void hand_out_values();
  void hand_out_kept_values();
  at::Tensor whole_on_first_rank(const at::Tensor& own) const;
  void name_parts(const at::Tensor& flat, const std::string& prefix, NamedTensors& named) const;

  ParameterSet& parameters_;
  Collective* ranks_ = nullptr;
  std::optional<BlockShare> share_;  // none: not shared
  // With a share, of whole rows: the state's tensors are their beginnings.
  at::Tensor own_values_, own_gradients_, own_first_, own_second_;
  bool dropped_ = false;    // whether the parameters' values were
  at::Tensor own_rounded_;  // then alone
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
