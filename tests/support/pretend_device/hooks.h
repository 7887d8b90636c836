// What LibTorch asks an accelerator besides computing: its streams, its events, whether memory is pinned.
#pragma once

namespace striate::test::pretend {

// Registers one device with one stream, on which everything is done as soon as it is asked for.
void register_hooks();

}  // namespace striate::test::pretend
