// Copies of host tensors to a device.
#pragma once

#include <ATen/core/Tensor.h>

namespace striate {

// `host` on `device`: itself where it is there already, else a copy. To a GPU it goes through pinned memory, and the
// host does not wait for it; `host` may change or go at once. What is pinned already is copied from where it lies: it
// may go at once, but must not change.
at::Tensor uploaded(const at::Tensor& host, at::Device device);

// Host memory for what will be uploaded to `device` without another copy: pinned for a GPU. LibTorch gives such memory
// out again once the device has read it, so that one buffer is filled while the one before is read.
at::Tensor empty_to_upload(at::IntArrayRef shape, at::ScalarType type, at::Device device);

}  // namespace striate
