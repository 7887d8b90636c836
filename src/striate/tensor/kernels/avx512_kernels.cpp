// Compiled with -mavx512f -mavx512bw -mavx512vl -mavx512dq; called only where the CPU has all four.
#include "striate/tensor/kernels/avx512_vector.h"
#include "striate/tensor/kernels/kernel_table.h"

namespace striate {

const CpuKernels& avx512_kernels() {
  static constexpr CpuKernels kTable = Table<Avx512Vector>::make(CpuIsa::kAvx512, "AVX512");
  return kTable;
}

}  // namespace striate
