// Where a model's tensors live and what they compute in.
#pragma once

#include <ATen/core/Tensor.h>

#include "striate/tensor/matrix.h"

namespace striate {

struct Placement {
  at::Device device = at::kCPU;
  Compute compute = Compute::kFloat32;

  // A weight for FrozenMatrix: on the CPU the file's own bytes, on a GPU a copy in the compute type.
  at::Tensor weight(const at::Tensor& stored) const;
  // A small vector (norm weight, bias): fp32 on the device.
  at::Tensor vector(const at::Tensor& stored) const;
  // Activations: the compute type on the device.
  at::Tensor activation(const at::Tensor& x) const;
};

}  // namespace striate
