#include "striate/tensor/upload.h"

#include <ATen/ops/empty.h>

namespace striate {

at::Tensor uploaded(const at::Tensor& host, at::Device device) {
  if (device.is_cpu() || !host.is_cpu()) return host.to(device);
  return host.pin_memory().to(device, host.scalar_type(), /*non_blocking=*/true);
}

at::Tensor empty_to_upload(at::IntArrayRef shape, at::ScalarType type, at::Device device) {
  return at::empty(shape, at::TensorOptions(type).pinned_memory(!device.is_cpu()));
}

}  // namespace striate
