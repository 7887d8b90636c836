#include "tests/support/pretend_device/host_tensors.h"

#include <ATen/EmptyTensor.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstring>

#include "tests/support/pretend_device/memory.h"

namespace striate::test::pretend {
namespace {

at::Tensor tensor_over(const c10::Storage& storage, c10::DispatchKeySet keys, const at::Tensor& like) {
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(storage), keys, like.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return tensor;
}

}  // namespace

at::Tensor HostTensors::host(const at::Tensor& device) {
  for (const Pair& pair : pairs_) {
    if (pair.device.is_same(device)) return pair.host;
  }
  const auto known = std::find_if(storages_.begin(), storages_.end(), [&](const auto& storages) {
    return storages.first.unsafeGetStorageImpl() == device.storage().unsafeGetStorageImpl();
  });
  c10::Storage storage;
  if (known != storages_.end()) {
    storage = known->second;
  } else {
    c10::DataPtr bytes(host_address(device.storage().mutable_data()), c10::Device(c10::kCPU));
    storage = c10::Storage(c10::Storage::use_byte_size_t(), device.storage().nbytes(), std::move(bytes),
                           c10::GetCPUAllocator(), /*resizable=*/true);
    storages_.emplace_back(device.storage(), storage);
  }
  at::Tensor host = tensor_over(storage, c10::DispatchKeySet(c10::DispatchKey::CPU), device);
  if (device.unsafeGetTensorImpl()->is_wrapped_number()) host.unsafeGetTensorImpl()->set_wrapped_number(true);
  pairs_.push_back({device, host});
  return host;
}

HostTensors::Result HostTensors::device(const at::Tensor& result) {
  if (!result.defined()) return {result, false};
  for (const Pair& pair : pairs_) {
    if (pair.host.is_same(result)) return {pair.device, false};
  }
  for (const auto& [device, host] : storages_) {
    if (host.unsafeGetStorageImpl() == result.storage().unsafeGetStorageImpl()) {
      return {tensor_over(device, kDeviceKeys, result), false};
    }
  }
  return {new_on_device(result), true};
}

void HostTensors::take_back() const {
  for (const Pair& pair : pairs_) {
    const at::Tensor& host = pair.host;
    c10::StorageImpl* storage = pair.device.storage().unsafeGetStorageImpl();
    if (host.storage().data() != host_address(storage->mutable_data())) {
      const std::size_t bytes = host.storage().nbytes();
      c10::DataPtr room = device_memory().allocate(bytes);
      if (bytes > 0) std::memcpy(host_address(room.get()), host.storage().data(), bytes);
      storage->set_data_ptr_noswap(std::move(room));
      storage->set_nbytes(bytes);
    }
    if (host.sizes() != pair.device.sizes() || host.strides() != pair.device.strides()) {
      pair.device.unsafeGetTensorImpl()->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
    }
  }
}

std::int64_t HostTensors::bytes() const {
  std::int64_t sum = 0;
  for (const Pair& pair : pairs_) sum += distinct_bytes(pair.device);
  return sum;
}

at::Tensor view_on_device(const at::Tensor& base, const at::Tensor& like) {
  return tensor_over(base.storage(), kDeviceKeys, like);
}

at::Tensor new_on_device(const at::Tensor& host) {
  at::Tensor device = at::detail::empty_strided_generic(host.sizes(), host.strides(), &device_memory(), kDeviceKeys,
                                                        host.scalar_type());
  if (host.numel() > 0) {
    std::memcpy(host_address(device.storage().mutable_data()), host.const_data_ptr(), device.storage().nbytes());
  }
  return device;
}

std::int64_t distinct_bytes(const at::Tensor& tensor) {
  const auto elements = static_cast<std::int64_t>(tensor.numel() * static_cast<std::int64_t>(tensor.element_size()));
  return std::min(elements, static_cast<std::int64_t>(tensor.storage().nbytes()));
}

}  // namespace striate::test::pretend
