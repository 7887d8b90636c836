// The operators of operators.h on CUDA: kernels of cuda/ where the device has them, else LibTorch's operators
// (composed_ops.h).
#pragma once

namespace torch {
class Library;
}

namespace striate {

// Gives every operator its implementation for CUDA. `library` is that of namespace `striate` and dispatch key CUDA.
void register_cuda_operators(torch::Library& library);

}  // namespace striate
