// The projector: vision features to the decoder's width.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "striate/model/config.h"
#include "striate/model/linear.h"
#include "striate/model/placement.h"
#include "striate/model/weight_source.h"

namespace striate {

// What a projector's forward pass leaves for its backward pass.
struct ProjectorTape {
  std::vector<at::Tensor> before_gelu;  // the output of every linear but the last
  std::vector<at::Tensor> inputs;       // of every linear
};

struct ProjectorForward {
  at::Tensor y;
  ProjectorTape tape;
};

// `linear` or `mlpNx_gelu`: linears with an exact (erf) GELU between them.
class Projector {
 public:
  Projector(const WeightSource& weights, const ProjectorConfig& config, const Placement& placement);
  // features [M, vision_hidden] -> [M, hidden] in the compute type.
  at::Tensor forward(const at::Tensor& features) const { return train_forward(features).y; }
  // The same, with what `backward` reads.
  ProjectorForward train_forward(const at::Tensor& features) const;
  // Adds to the gradients of trained linears, given the output's gradient, and returns that of the features
  // (undefined where not wanted).
  at::Tensor backward(at::Tensor dy, const ProjectorTape& tape, bool input_gradient) const;

  // Linear i is `projector.{2 i}` (the odd entries of the Sequential are GELUs).
  std::size_t depth() const { return linears_.size(); }
  const Linear& linear(std::size_t i) const { return *linears_[i]; }
  void replace_linear(std::size_t i, std::shared_ptr<const Linear> linear) { linears_[i] = std::move(linear); }

 private:
  Placement placement_;
  std::vector<std::shared_ptr<const Linear>> linears_;
};

}  // namespace striate
