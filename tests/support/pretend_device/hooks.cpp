#include "tests/support/pretend_device/hooks.h"

#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <utility>

#include "tests/support/pretend_device/copies.h"
#include "tests/support/pretend_device/counts.h"
#include "tests/support/pretend_device/memory.h"

namespace striate::test::pretend {
namespace {

const c10::Device kOnly(kDeviceType, 0);

// 0: the default one; 1: the one of the pool. What is asked of either is done at once.
thread_local c10::StreamId current_stream = 0;

c10::Stream stream_of(c10::StreamId id) {
  return c10::Stream(c10::Stream::UNSAFE, kOnly, id);
}

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kDeviceType; }
  c10::Device exchangeDevice(c10::Device) const override { return kOnly; }
  c10::Device getDevice() const override { return kOnly; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream_of(current_stream); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream_of(0); }
  c10::Stream getNewStream(c10::Device, int) const override { return stream_of(1); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return stream_of(1); }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return stream_of(std::exchange(current_stream, stream.id()));
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {
    static int recorded;
    *event = &recorded;
  }
  void block(void*, const c10::Stream&) const override {
    const DeviceLock lock(device_mutex());
    count_stream_wait();
  }
  // The host learns without a wait that the device is done: what was under way is there.
  bool queryEvent(void*) const override {
    learn_that_copies_arrived();
    return true;
  }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override { wait_for_device("synchronizeStream"); }
  void synchronizeEvent(void*) const override { wait_for_device("synchronizeEvent"); }
  void synchronizeDevice(c10::DeviceIndex) const override { wait_for_device("synchronizeDevice"); }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  at::Device getDeviceFromPtr(void*) const override { return kOnly; }
  bool isPinnedPtr(const void* address) const override { return is_pinned(address); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_memory(); }
};

}  // namespace

bool on_side_stream() {
  return current_stream != 0;
}

void register_hooks() {
  static const c10::impl::DeviceGuardImplRegistrar registered(kDeviceType, new Guard);
  at::RegisterPrivateUse1HooksInterface(new Hooks);
}

}  // namespace striate::test::pretend
