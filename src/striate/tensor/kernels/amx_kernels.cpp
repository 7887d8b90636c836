// Compiled with -mamx-tile -mamx-bf16 -mavx512bf16 and AVX512's flags; called only where the CPU has them all and the
// system lets this process use the tiles.
#include "striate/tensor/kernels/amx_panels.h"

namespace striate {

const CpuKernels& amx_kernels() {
  static constexpr CpuKernels kTable = PanelTable<AmxPanels>::make(CpuIsa::kAmx, "AMX");
  return kTable;
}

}  // namespace striate
