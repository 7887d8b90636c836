// Compiled with -mamx-tile -mamx-bf16 -mavx512bf16 and AVX512's flags; called only where the CPU has them all and the
// system lets this process use the tiles.
#include "striate/tensor/kernels/amx_attention.h"
#include "striate/tensor/kernels/avx512_vector.h"
#include "striate/tensor/kernels/kernel_table.h"

namespace striate {
namespace {

// Tiles need bf16 and whole panels of a head's width.
bool fits_tiles(const AttentionHead& job) {
  return job.storage == Storage::kBFloat16 && job.dim % kPanel == 0;
}

void attend(const AttentionHead& job) {
  fits_tiles(job) ? amx_attention_forward(job) : Table<Avx512Vector>::attend(job);
}

void attend_backward(const AttentionHead& job) {
  fits_tiles(job) ? amx_attention_backward(job) : Table<Avx512Vector>::attend_backward(job);
}

constexpr CpuKernels make_table() {
  CpuKernels table = Table<Avx512Vector>::make(CpuIsa::kAmx, "AMX");
  table.attention_forward = attend;
  table.attention_backward = attend_backward;
  return table;
}

}  // namespace

const CpuKernels& amx_kernels() {
  static constexpr CpuKernels kTable = make_table();
  return kTable;
}

}  // namespace striate
