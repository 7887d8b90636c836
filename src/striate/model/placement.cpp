#include "striate/model/placement.h"

#include "striate/tensor/upload.h"

namespace striate {

at::Tensor Placement::weight(const at::Tensor& stored) const {
  return device.is_cpu() ? stored : stored.to(device, compute_dtype(compute));
}

at::Tensor Placement::vector(const at::Tensor& stored) const {
  return stored.to(device, at::kFloat);
}

at::Tensor Placement::activation(const at::Tensor& x) const {
  return uploaded(x, device).to(compute_dtype(compute));
}

}  // namespace striate
