#include "tests/support/pretend_device/copies.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/_local_scalar_dense.h>

#include <cstring>
#include <vector>

#include "tests/support/pretend_device/counts.h"
#include "tests/support/pretend_device/host_tensors.h"
#include "tests/support/pretend_device/memory.h"

namespace striate::test::pretend {
namespace {

// A copy that the host has asked for and not waited for.
struct Pending {
  at::Tensor pinned;  // undefined where LibTorch would not keep it for the copy
  const void* place;  // of its bytes
  at::Tensor values;  // what is to be in it, or what was in it when the copy was asked for
  bool to_host;

  bool changed() const {
    return !is_pinned(place) || std::memcmp(place, values.const_data_ptr(), values.nbytes()) != 0;
  }
};

std::vector<Pending>& copies_under_way() {
  static auto* copies = new std::vector<Pending>;
  return *copies;
}

void let_copies_arrive() {
  const at::AutoDispatchBelowADInplaceOrView below;
  for (const Pending& copy : copies_under_way()) {
    if (copy.to_host) {
      copy.pinned.copy_(copy.values);
    } else if (copy.changed()) {
      count_hazard();
    }
  }
  copies_under_way().clear();
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &device_memory(), kDeviceKeys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &device_memory(), kDeviceKeys, c10::dtype_or_default(dtype));
}

// The view that `make` makes of the CPU tensor over the same bytes.
template <typename Make>
at::Tensor viewed(const at::Tensor& self, Make make) {
  const DeviceLock lock(device_mutex());
  const at::AutoDispatchBelowADInplaceOrView below;
  HostTensors tensors;
  return view_on_device(self, make(tensors.host(self)));
}

at::Tensor as_strided(const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride,
                      std::optional<std::int64_t> offset) {
  return viewed(self, [&](const at::Tensor& host) { return host.as_strided(size, stride, offset); });
}

at::Tensor view(const at::Tensor& self, at::IntArrayRef size) {
  return viewed(self, [&](const at::Tensor& host) { return host.view(size); });
}

at::Tensor reshape_alias(const at::Tensor& self, at::IntArrayRef size, at::IntArrayRef stride) {
  return viewed(self, [&](const at::Tensor& host) { return host.as_strided(size, stride, host.storage_offset()); });
}

at::Tensor unfold(const at::Tensor& self, std::int64_t dimension, std::int64_t size, std::int64_t step) {
  return viewed(self, [&](const at::Tensor& host) { return host.unfold(dimension, size, step); });
}

const at::Tensor& resize(const at::Tensor& self, at::IntArrayRef size, std::optional<at::MemoryFormat>) {
  self.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  const std::size_t bytes = static_cast<std::size_t>(self.numel() + self.storage_offset()) * self.element_size();
  c10::StorageImpl* storage = self.storage().unsafeGetStorageImpl();
  if (bytes <= storage->nbytes()) return self;
  c10::DataPtr room = device_memory().allocate(bytes);
  if (storage->nbytes() > 0) {
    std::memcpy(host_address(room.get()), host_address(storage->mutable_data()), storage->nbytes());
  }
  storage->set_data_ptr_noswap(std::move(room));
  storage->set_nbytes(bytes);
  return self;
}

at::Scalar local_scalar(const at::Tensor& self) {
  const DeviceLock lock(device_mutex());
  const at::AutoDispatchBelowADInplaceOrView below;
  let_copies_arrive();
  count_copy({Direction::kToHost, static_cast<std::int64_t>(self.element_size()), false, true}, "item");
  HostTensors tensors;
  return at::_local_scalar_dense(tensors.host(self));
}

std::int64_t size_of(const at::Tensor& shape, const at::Tensor& type) {
  return shape.numel() * static_cast<std::int64_t>(type.element_size());
}

// As LibTorch's Copy.cu goes about it: a copy that is waited for changes the type on the host, others on the device,
// and what has gaps on the device is made dense there by a kernel.
void count_upload(const at::Tensor& from, const at::Tensor& to, bool wait) {
  const bool changes_type = from.scalar_type() != to.scalar_type();
  const bool from_where_it_lies = from.is_contiguous() && from.sizes() == to.sizes() && !(changes_type && wait);
  const bool pinned = from_where_it_lies && is_pinned(from.const_data_ptr());
  const std::int64_t bytes = size_of(to, wait ? to : from);
  if (wait) let_copies_arrive();
  count_copy({Direction::kToDevice, bytes, pinned, wait}, "copy to the device");
  if (!to.is_contiguous() || (changes_type && !wait)) count_launch("copy_ after an upload", bytes + size_of(to, to));
  if (!pinned || wait) return;
  const bool kept = is_pinned_block(from.storage().data_ptr());
  copies_under_way().push_back({kept ? from : at::Tensor(), from.const_data_ptr(), from.clone(), false});
}

void count_download(const at::Tensor& from, const at::Tensor& to, bool asked_to_wait) {
  const bool changes_type = from.scalar_type() != to.scalar_type();
  const bool pinned = is_pinned(to.const_data_ptr()) && to.is_contiguous() && !(changes_type && asked_to_wait);
  // Pageable memory cannot be written behind the host's back.
  const bool wait = asked_to_wait || !pinned;
  const std::int64_t bytes = size_of(to, asked_to_wait ? from : to);
  if (!from.is_contiguous() || (changes_type && !asked_to_wait)) {
    count_launch("copy_ before a download", size_of(from, from) + bytes);
  }
  if (wait) let_copies_arrive();
  count_copy({Direction::kToHost, bytes, pinned, wait}, "copy to the host");
  if (wait) return;
  copies_under_way().push_back({to, to.const_data_ptr(), to.clone(), true});
  std::memset(to.mutable_data_ptr(), 0xff, to.nbytes());  // not there yet
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  const DeviceLock lock(device_mutex());
  const at::AutoDispatchBelowADInplaceOrView below;
  if (to.numel() == 0) return to;
  const bool reads_device = from.device().type() == kDeviceType;
  const bool writes_device = to.device().type() == kDeviceType;
  HostTensors tensors;
  const at::Tensor target = writes_device ? tensors.host(to) : to;
  target.copy_(reads_device ? tensors.host(from) : from);
  if (reads_device && writes_device) {
    count_launch("copy_", distinct_bytes(from) + distinct_bytes(to));
  } else if (writes_device) {
    count_upload(from, to, !non_blocking);
  } else {
    count_download(from, to, !non_blocking);
  }
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  to.resize_(from.sizes());
  return copy_from(from, to, false);
}

}  // namespace

void wait_for_device(const std::string& what) {
  const DeviceLock lock(device_mutex());
  count_wait(what);
  let_copies_arrive();
}

void learn_that_copies_arrived() {
  const DeviceLock lock(device_mutex());
  let_copies_arrive();
}

void register_copies(torch::Library& library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("as_strided", &as_strided);
  library.impl("view", &view);
  library.impl("_reshape_alias", &reshape_alias);
  library.impl("unfold", &unfold);
  library.impl("resize_", &resize);
  library.impl("_local_scalar_dense", &local_scalar);
  library.impl("_copy_from", &copy_from);
  library.impl("_copy_from_and_resize", &copy_from_and_resize);
}

}  // namespace striate::test::pretend
