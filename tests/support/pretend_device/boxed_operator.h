// The one function behind every operator of the pretend device: it runs the operator's CPU kernel on the same bytes.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

namespace striate::test::pretend {

// Takes the operator's arguments from the stack and leaves its results there. Throws what CUDA throws for an operator
// without a CUDA kernel (NotImplementedError), and for tensors of several devices.
void run_cpu_kernel(const c10::OperatorHandle& op, torch::jit::Stack* stack);

}  // namespace striate::test::pretend
