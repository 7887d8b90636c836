// How the process gives memory back.
#pragma once

namespace striate {

// Asks the C library to keep freed memory for the next allocation instead of returning every large piece to the
// system: a training step allocates the same activations as the one before, and fetching their pages anew costs up to a
// fifth of it. For programs, at their start; does nothing where the C library has no such setting.
void keep_freed_memory();

}  // namespace striate
