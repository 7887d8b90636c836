#include "striate/model/placement.h"

#include <memory>

#include "striate/tensor/upload.h"

namespace striate {

at::Tensor Placement::weight(const at::Tensor& stored) const {
  return device.is_cpu() ? stored : stored.to(device, compute_dtype(compute));
}

FrozenMatrix Placement::layer_matrix(std::int64_t layer, const std::string& name, const at::Tensor& stored,
                                     const at::Tensor& bias) const {
  const FrozenPrecision precision = quantized.of(layer);
  if (precision == FrozenPrecision::kStored) return FrozenMatrix(weight(stored), bias);
  const QuantizedMatrix matrix(stored, precision, name);
  return FrozenMatrix(std::make_shared<QuantizedMatrix>(device.is_cpu() ? matrix : matrix.to(device)), bias);
}

at::Tensor Placement::vector(const at::Tensor& stored) const {
  return stored.to(device, at::kFloat);
}

at::Tensor Placement::activation(const at::Tensor& x) const {
  return uploaded(x, device).to(compute_dtype(compute));
}

}  // namespace striate
