#include "striate/model/projector.h"

#include <ATen/ops/gelu.h>

#include "striate/base/strings.h"

namespace striate {

Projector::Projector(const WeightSource& weights, const ProjectorConfig& config, const Placement& placement)
    : placement_(placement) {
  for (std::int64_t i = 0; i < config.depth; ++i) {
    const std::string name = cat("projector.", 2 * i);  // a GELU stands at every odd place of the Sequential
    const std::int64_t in = i == 0 ? config.in_size : config.out_size;
    linears_.emplace_back(FrozenMatrix(placement.weight(weights.load(name + ".weight", {config.out_size, in})),
                                       placement.vector(weights.load(name + ".bias", {config.out_size}))));
  }
}

at::Tensor Projector::forward(const at::Tensor& features) const {
  at::Tensor x = placement_.activation(features);
  for (std::size_t i = 0; i < linears_.size(); ++i) {
    if (i > 0) x = at::gelu(x);
    x = linears_[i].forward(x, placement_.compute);
  }
  return x;
}

}  // namespace striate
