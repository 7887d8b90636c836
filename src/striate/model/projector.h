// The projector: vision features to the decoder's width.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "striate/model/config.h"
#include "striate/model/linear.h"
#include "striate/model/placement.h"
#include "striate/model/weight_source.h"

namespace striate {

// `linear` or `mlpNx_gelu`: linears with an exact (erf) GELU between them.
class Projector {
 public:
  Projector(const WeightSource& weights, const ProjectorConfig& config, const Placement& placement);
  // features [M, vision_hidden] -> [M, hidden] in the compute type.
  at::Tensor forward(const at::Tensor& features) const;

 private:
  Placement placement_;
  std::vector<FrozenLinear> linears_;
};

}  // namespace striate
