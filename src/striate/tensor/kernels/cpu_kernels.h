// The CPU's inner loops, in one variant per instruction set; which one runs is decided at run time.
//
// Plain pointers and counts: this header is included by files compiled for one instruction set each, so it must bring
// in no inline code that the linker could take from the wrong one.
#pragma once

#include <cstdint>

namespace striate {

enum class CpuIsa { kScalar, kAvx2, kAvx512 };

// The storage types the loops read.
enum class Storage { kFloat32, kBFloat16, kFloat16 };

// y[t * y_stride + r] = sum_i w[r * columns + i] * x[t * columns + i] for rows r in [row_begin, row_end) and t in
// [0, tokens), 1 <= tokens <= kMaxSkinnyTokens. Sums are fp32 in an order that depends on `columns` alone: a result has
// the same bits whatever tokens stand beside it and however the rows are split.
inline constexpr std::int64_t kMaxSkinnyTokens = 8;
struct SkinnyProduct {
  const void* weight;  // [rows, columns] of `storage`, aligned as one element is
  Storage storage;
  const float* x;  // [tokens, columns]
  float* y;
  std::int64_t columns, tokens, y_stride, row_begin, row_end;
};

// Rows of fp32 or bf16 in, rows of the same type out; strides count elements.
struct NormRows {
  const void* x;
  const float* weight;
  void* y;
  Storage storage;
  std::int64_t columns, x_stride, row_begin, row_end;
  float eps;
};

struct GateRows {
  const void* gate;
  const void* up;
  void* y;
  Storage storage;
  std::int64_t columns, gate_stride, up_stride, row_begin, row_end;
};

struct RotateRows {
  const void* x;  // [tokens, heads, 2 * half]
  const float* cos;
  const float* sin;
  void* y;
  Storage storage;
  std::int64_t heads, half, token_stride, head_stride, row_begin, row_end;  // rows are tokens
};

// One head's query against its keys and values, [length, dim] rows of `storage` with stride dim.
struct DecodeHead {
  const float* q;
  const void* keys;
  const void* values;
  float* scores;  // [length] room to work in
  float* y;       // [dim]
  Storage storage;
  std::int64_t dim, length;
  float scale;
};

struct CpuKernels {
  CpuIsa isa;
  const char* name;
  void (*skinny_product)(const SkinnyProduct&);
  void (*rms_norm)(const NormRows&);
  void (*silu_multiply)(const GateRows&);
  void (*rotate)(const RotateRows&);
  void (*quick_gelu)(const void* x, void* y, Storage storage, std::int64_t begin, std::int64_t end);
  void (*decode_head)(const DecodeHead&);
  // fp32 of `count` stored values.
  void (*widen)(const void* x, Storage storage, float* y, std::int64_t count);
  // The nearest bf16 of `count` stored values, ties to even.
  void (*narrow)(const void* x, Storage storage, std::uint16_t* y, std::int64_t count);
};

const CpuKernels& scalar_kernels();
const CpuKernels& avx2_kernels();
const CpuKernels& avx512_kernels();

}  // namespace striate
