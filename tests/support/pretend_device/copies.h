// Copies between main memory and the pretend device, what makes tensors there, and waits for it.
#pragma once

#include <torch/library.h>

#include <string>

namespace striate::test::pretend {

// Registers tensors' making, views, resizing, and copies. A copy that the host does not wait for arrives at the next
// wait and not before: until then its target reads as NaN. A pinned source that is overwritten before then counts as a
// hazard.
void register_copies(torch::Library& library);

// The host waits for the device: copies under way arrive.
void wait_for_device(const std::string& what);
// The same without a wait, as the host finds an event reached.
void learn_that_copies_arrived();

}  // namespace striate::test::pretend
