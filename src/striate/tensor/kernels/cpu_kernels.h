// The CPU's inner loops, in one variant per instruction set; which one runs is decided at run time.
//
// Plain pointers and counts: this header is included by files compiled for one instruction set each, so it must bring
// in no inline code that the linker could take from the wrong one.
#pragma once

#include <cstdint>

namespace striate {

enum class CpuIsa { kPortable, kAvx2, kAvx512, kAvx512Bf16, kAmx };

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

// In place.
struct RotateRows {
  void* x;  // [tokens, heads, 2 * half]
  const float* cos;
  const float* sin;
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

// Rows of `columns` in one type, dense. sum = x + delta and y = sum / sqrt(mean(sum^2) + eps) * weight.
struct AddNormRows {
  const void* x;
  const void* delta;
  const float* weight;
  void* sum;
  void* y;
  Storage storage;
  std::int64_t columns, row_begin, row_end;
  float eps;
};

// sums[3 r ..] = a.b, a.a and b.b of row r: fp32 products, summed in fp32 over blocks of columns and in double over the
// blocks.
struct RowProductRows {
  const void* a;
  const void* b;
  double* sums;  // [rows, 3]
  Storage storage;
  std::int64_t columns, a_stride, b_stride, row_begin, row_end;
};

// dx += the gradient of x / sqrt(mean(x^2) + eps) * weight, given that of the result.
struct NormBackwardRows {
  const void* dy;
  const void* x;
  const float* weight;
  void* dx;
  Storage storage;
  std::int64_t columns, row_begin, row_end;
  float eps;
};

// gate and up become the gradients of silu(gate) * up by them; dy is dense.
struct GateBackwardRows {
  void* gate;
  void* up;
  const void* dy;
  Storage storage;
  std::int64_t columns, stride, row_begin, row_end;
};

// nll[r] = -log softmax(logits[r])[targets[r]]; then, unless scale is zero, the logits become
// scale * (softmax - onehot).
struct CrossEntropyRows {
  void* logits;
  const std::int64_t* targets;
  float* nll;
  Storage storage;
  std::int64_t columns, row_begin, row_end;
  float scale;
};

// y = (or +=) x * mask * scale, where a column is masked out when its 16 random bits are below `threshold`; the bits
// come from row_keys[r], key and the column alone.
struct DropoutRows {
  const void* x;
  void* y;
  const std::uint64_t* row_keys;
  std::uint64_t key;
  std::uint32_t threshold;
  float scale;
  bool accumulate;
  Storage storage;
  std::int64_t columns, row_begin, row_end;
};

// Attention of one sample and one key-value head with the `group` query heads that read it. Pointers stand at the
// sample's first token (or query) and the first of those heads; strides count elements from token to token. q's heads
// lie `q_head_stride` apart; outputs, dout and dq are dense in their heads.
inline constexpr std::int64_t kAttentionPad = 16;      // a multiple of every vector's width
inline constexpr std::int64_t kAttentionQueries = 24;  // queries a block holds
inline constexpr std::int64_t attention_padded(std::int64_t n) {
  return (n + kAttentionPad - 1) / kAttentionPad * kAttentionPad;
}
struct AttentionHead {
  const void* q;
  const void* k;
  const void* v;
  // What the forward pass writes.
  void* out;
  float* log_sums;  // [group, queries] with log_sum_stride: log of the sum of exp(scale * scores)
  // What the backward pass reads of the forward pass and of what comes after it, and what it writes.
  const void* forward_out;
  const float* forward_log_sums;
  const void* dout;
  void* dq;
  void* dk;
  void* dv;
  float* work;               // room to work in; what does not fit throws InternalError before anything is written
  std::int64_t work_floats;  // its size: attention_work() or more
  Storage storage;
  std::int64_t tokens, dim, group, window;  // window < 0: none
  std::int64_t queries;                     // rows of q, out, dout, dq and log_sums
  const std::int32_t* places;               // [queries], ascending: which token each is; null: all of them
  std::int64_t q_stride, q_head_stride, k_stride, v_stride, out_stride, dk_stride, log_sum_stride;
  float scale;
};
// What the kernels call when `work` is too small: they are compiled for one instruction set, and so must not bring in
// the inline code of exceptions and strings.
[[noreturn]] void attention_room_too_small(std::int64_t bytes_wanted, std::int64_t bytes_there);

// Floats of room that a head of `dim` and `tokens` needs, forward or backward.
inline constexpr std::int64_t attention_work(std::int64_t tokens, std::int64_t dim) {
  const std::int64_t padded = attention_padded(dim) + kAttentionPad;
  const std::int64_t columns = attention_padded(tokens) + 2 * kAttentionPad;
  return 8 * columns * padded + 4 * kAttentionQueries * (padded + columns) + 4096;
}

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
  void (*add_norm)(const AddNormRows&);
  void (*row_products)(const RowProductRows&);
  void (*norm_backward)(const NormBackwardRows&);
  void (*gate_backward)(const GateBackwardRows&);
  void (*cross_entropy)(const CrossEntropyRows&);
  void (*dropout)(const DropoutRows&);
  void (*attention_forward)(const AttentionHead&);
  void (*attention_backward)(const AttentionHead&);
};

const CpuKernels& portable_kernels();
// The rest where the machine is x86-64 only.
const CpuKernels& avx2_kernels();
const CpuKernels& avx512_kernels();
const CpuKernels& avx512_bf16_kernels();
const CpuKernels& amx_kernels();

}  // namespace striate
