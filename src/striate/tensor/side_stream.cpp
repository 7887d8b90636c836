#include "striate/tensor/side_stream.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace striate {
namespace {

// `later` comes after what was asked of `earlier` so far.
void order(const c10::Stream& earlier, const c10::Stream& later) {
  c10::Event reached(earlier.device_type());
  reached.record(earlier);
  reached.block(later);
}

}  // namespace

SideStream::SideStream(at::Device device) : device_(device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  stream_ = guard.getStreamFromGlobalPool(device);
  order(guard.getStream(device), *stream_);
}

void SideStream::hand_over(std::initializer_list<at::Tensor> tensors) const {
  if (!stream_) return;
  const c10::impl::VirtualGuardImpl guard(device_.type());
  const c10::Stream reader = guard.getStream(device_);
  order(*stream_, reader);
  for (const at::Tensor& tensor : tensors) {
    if (tensor.defined() && !tensor.is_cpu()) guard.recordDataPtrOnStream(tensor.storage().data_ptr(), reader);
  }
}

}  // namespace striate
