// What a GPU's hardware is capable of, as NVIDIA numbers it.
#pragma once

#include <optional>

namespace striate::cuda {

// Of a CUDA device by its number: 90 for compute capability 9.0. Absent where no driver or no such device is.
std::optional<int> compute_capability(int device);

}  // namespace striate::cuda
