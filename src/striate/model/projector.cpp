#include "striate/model/projector.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>

#include "striate/base/strings.h"

namespace striate {

Projector::Projector(const WeightSource& weights, const ProjectorConfig& config, const Placement& placement)
    : placement_(placement) {
  for (std::int64_t i = 0; i < config.depth; ++i) {
    const std::string name = cat("projector.", 2 * i);
    const std::int64_t in = i == 0 ? config.in_size : config.out_size;
    linears_.push_back(std::make_shared<FrozenLinear>(
        FrozenMatrix(placement.weight(weights.load(name + ".weight", {config.out_size, in})),
                     placement.vector(weights.load(name + ".bias", {config.out_size})))));
  }
}

ProjectorForward Projector::train_forward(const at::Tensor& features) const {
  ProjectorForward result;
  result.y = placement_.activation(features);
  for (std::size_t i = 0; i < linears_.size(); ++i) {
    if (i > 0) {
      result.tape.before_gelu.push_back(result.y);
      result.y = at::gelu(result.y);
    }
    result.tape.inputs.push_back(result.y);
    result.y = linears_[i]->forward(result.y, placement_.compute);
  }
  return result;
}

at::Tensor Projector::backward(at::Tensor dy, const ProjectorTape& tape, bool input_gradient) const {
  const LinearTape none;
  const DropoutKeys no_dropout;
  for (std::size_t i = linears_.size(); i-- > 0;) {
    dy = linears_[i]->backward({dy, tape.inputs[i], &none, &no_dropout, placement_.compute, i > 0 || input_gradient});
    if (i > 0) dy = at::gelu_backward(dy, tape.before_gelu[i - 1]);
  }
  return dy;
}

}  // namespace striate
