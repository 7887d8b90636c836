#include "striate/model/placement.h"

namespace striate {

at::Tensor Placement::weight(const at::Tensor& stored) const {
  return device.is_cpu() ? stored : stored.to(device, compute_dtype(compute));
}

at::Tensor Placement::vector(const at::Tensor& stored) const {
  return stored.to(device, at::kFloat);
}

at::Tensor Placement::activation(const at::Tensor& x) const {
  return x.to(device, compute_dtype(compute));
}

}  // namespace striate
