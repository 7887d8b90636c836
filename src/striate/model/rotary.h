// Rotary positions.
#pragma once

#include <ATen/core/Tensor.h>

#include "striate/model/config.h"

namespace striate {

// Cosines and sines of the rotary angles of some positions, [N, head_dim / 2] fp32 each.
struct RotaryAngles {
  at::Tensor cos;
  at::Tensor sin;
};

// The rotary frequencies of a decoder (Su et al., arXiv 2104.09864; transformers' modeling_rope_utils for scaling).
class RotaryTable {
 public:
  RotaryTable(const DecoderConfig& config, at::Device device);
  // positions [N] int64.
  RotaryAngles at(const at::Tensor& positions) const;
  // Radians a position, [head_dim / 2] fp32, scaling included.
  const at::Tensor& frequencies() const { return frequencies_; }

 private:
  at::Tensor frequencies_;  // [head_dim / 2] fp32
};

}  // namespace striate
