// The pretend device's memory, and pinned memory beside it.
//
// Address space has two halves. Device pointers lie in the first, which nobody can ever read or write; the bytes that
// they stand for lie at the same place of the second. Nothing has to be opened and closed around operators, so a device
// pointer in the wrong hands ends in a fault on every thread, at any time.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DispatchKeySet.h>

#include <cstddef>
#include <mutex>

namespace striate::test::pretend {

inline constexpr c10::DeviceType kDeviceType = c10::DeviceType::PrivateUse1;
inline constexpr c10::DispatchKeySet kDeviceKeys(c10::DispatchKey::PrivateUse1);

// Held by every operator of the device: its memory, its counts, and its copies under way.
std::recursive_mutex& device_mutex();
using DeviceLock = std::lock_guard<std::recursive_mutex>;

// Blocks of 512 bytes, as CUDA's allocator rounds. Beyond 16 GB, or what may be taken, it throws OutOfMemoryError in
// CUDA's words.
c10::DeviceAllocator& device_memory();
// Bytes in use, and the most that may be.
std::size_t bytes_in_use();
std::size_t most_bytes();
void set_most_bytes(std::size_t bytes);
// Whether an address is one of the device's.
bool is_device_address(const void* address);
// Where the bytes of a device address lie; null for null.
void* host_address(const void* device_address);

// Main memory that counts as pinned.
c10::Allocator& pinned_memory();
bool is_pinned(const void* address);
// Whether a tensor's storage is a block of it, as LibTorch gave it out. LibTorch then keeps the block until copies from
// it are done; it knows nothing of tensors that others make of parts of such blocks.
bool is_pinned_block(const c10::DataPtr& storage);

// From here on a fault at a device address says what it is before the process ends.
void explain_faults();

}  // namespace striate::test::pretend
