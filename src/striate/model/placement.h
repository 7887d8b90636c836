// Where a model's tensors live and what they compute in.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "striate/model/layer_set.h"
#include "striate/tensor/matrix.h"

namespace striate {

// Decoder layers whose linears keep their weights in fewer bits.
struct QuantizedLayers {
  FrozenPrecision precision = FrozenPrecision::kStored;
  LayerSet layers;

  FrozenPrecision of(std::int64_t layer) const { return layers.contains(layer) ? precision : FrozenPrecision::kStored; }
};

struct Placement {
  at::Device device = at::kCPU;
  Compute compute = Compute::kFloat32;
  QuantizedLayers quantized = {};

  // A weight for FrozenMatrix: on the CPU the file's own bytes, on a GPU a copy in the compute type.
  at::Tensor weight(const at::Tensor& stored) const;
  // The matrix of the linear `name` in decoder layer `layer`, in fewer bits where `quantized` says so: then it is
  // quantised here, and no copy of `stored` is made. Throws as QuantizedMatrix does.
  FrozenMatrix layer_matrix(std::int64_t layer, const std::string& name, const at::Tensor& stored,
                            const at::Tensor& bias) const;
  // A small vector (norm weight, bias): fp32 on the device.
  at::Tensor vector(const at::Tensor& stored) const;
  // Activations: the compute type on the device.
  at::Tensor activation(const at::Tensor& x) const;
};

}  // namespace striate
