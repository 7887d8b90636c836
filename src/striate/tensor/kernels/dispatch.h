// Which instruction set the CPU's loops use.
#pragma once

#include <vector>

#include "striate/tensor/kernels/cpu_kernels.h"

namespace striate {

// The best table this CPU can run. ATEN_CPU_CAPABILITY (default, avx2, avx512) lowers it, as it lowers LibTorch's own.
const CpuKernels& cpu_kernels();

// Every table this CPU can run, the portable one first: tests hold each to the reference.
std::vector<const CpuKernels*> runnable_cpu_kernels();

// Whether the CPU multiplies bf16 in hardware (AMX or AVX512-BF16) and LibTorch may use it: ONEDNN_MAX_CPU_ISA and
// ATEN_CPU_CAPABILITY can forbid it.
bool has_fast_bf16();
bool has_amx();

}  // namespace striate
