// The loops for every CPU: what runs where the others do not, and the only ones where the machine is not x86-64.
#include "striate/tensor/kernels/portable_vector.h"

namespace striate {

const CpuKernels& portable_kernels() {
  static constexpr CpuKernels kTable = Table<PortableVector>::make(CpuIsa::kPortable, "portable");
  return kTable;
}

}  // namespace striate
