#include "striate/tensor/kernels/kernel_table.h"

namespace striate {

const CpuKernels& scalar_kernels() {
  static constexpr CpuKernels kTable = Table<ScalarVector>::make(CpuIsa::kScalar, "scalar");
  return kTable;
}

}  // namespace striate
