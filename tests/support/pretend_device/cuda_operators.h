// Which of LibTorch's operators have a CUDA kernel, and what is known of them that no schema says.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <string>

namespace striate::test::pretend {

// "aten::add.Tensor"; the overload is left out where it has no name.
std::string full_name(const c10::OperatorHandle& op);

// By cuda_operators.txt, which list_cuda_operators.py makes from a wheel's headers; the operators of our own library
// (namespace striate) run on every device.
bool has_cuda_kernel(const std::string& name);

// Whether the operator takes this CPU tensor beside device tensors: numbers without dimensions where they are one
// operand of many, and indices, which CUDA's index operators copy.
bool takes_cpu_tensor(const c10::OperatorHandle& op, const at::Tensor& tensor);
// Operators that index by tensors, whose CPU ones they copy to the device first.
bool indexes(const std::string& name);
// Matrix products, which CUDA has for floating types alone.
bool is_product(const std::string& name);
// Operators that read or write the rows that are picked and no others of their first argument.
bool picks_rows(const std::string& name);
// Operators whose CUDA kernels may add in another order every time.
bool adds_in_any_order(const std::string& name);
// Operators whose result has a size that the device computes: the host waits for it.
bool sizes_its_result(const std::string& name);

}  // namespace striate::test::pretend
