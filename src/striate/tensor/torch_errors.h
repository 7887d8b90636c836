// LibTorch's exceptions, and the standard library's, in our words. Their own texts name neither what ran nor what to
// do.
#pragma once

#include <exception>
#include <string>

#include "striate/base/error.h"

namespace striate {

// Whether memory ran out: std::bad_alloc, and what LibTorch throws for main memory, a GPU's allocator, CUDA and cuBLAS.
bool ran_out_of_memory(const std::exception& error);

// An Error stays as it is. Memory that ran out becomes a ResourceError, "out of memory: 2.1 GB more was requested",
// with `memory_hint`, as does a thread that the system does not start; anything else is a bug of ours, with the first
// line of its text.
Error explain(const std::exception& error, const std::string& memory_hint = "use a machine with more memory");

}  // namespace striate
