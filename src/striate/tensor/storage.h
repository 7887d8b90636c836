// LibTorch's dtypes as the CPU's loops name them.
#pragma once

#include <ATen/core/Tensor.h>

#include "striate/tensor/kernels/cpu_kernels.h"

namespace striate {

// Throws Internal for a dtype that no loop reads.
Storage storage_of(const at::Tensor& tensor);

}  // namespace striate
