// Compiled with -mavx512bf16 and AVX512's flags; called only where the CPU has them all.
#include "striate/tensor/kernels/bf16_panels.h"

namespace striate {

const CpuKernels& avx512_bf16_kernels() {
  static constexpr CpuKernels kTable = PanelTable<Bf16Panels>::make(CpuIsa::kAvx512Bf16, "AVX512_BF16");
  return kTable;
}

}  // namespace striate
