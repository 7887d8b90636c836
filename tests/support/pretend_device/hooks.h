// What LibTorch asks an accelerator besides computing: its streams, its events, whether memory is pinned.
#pragma once

namespace striate::test::pretend {

// Registers one device with two streams, the default one and one in the pool. Everything is done as soon as it is asked
// for.
void register_hooks();
// Whether the calling thread's work goes to the pool's stream.
bool on_side_stream();

}  // namespace striate::test::pretend
