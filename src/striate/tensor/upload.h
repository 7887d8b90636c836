// Copies of host tensors to a device.
#pragma once

#include <ATen/core/Tensor.h>

namespace striate {

// `host` on `device`: itself where it is there already, else a copy. To a GPU it goes through pinned memory, and the
// host does not wait for it; `host` may change or go at once.
at::Tensor uploaded(const at::Tensor& host, at::Device device);

}  // namespace striate
