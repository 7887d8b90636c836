// The table of loops of one instruction set, over its vector type V; included by one file per instruction set.
#pragma once

#include "striate/tensor/kernels/attention_bodies.h"
#include "striate/tensor/kernels/kernel_bodies.h"
#include "striate/tensor/kernels/train_bodies.h"

namespace striate {
namespace {

// The table of one instruction set.
template <typename V>
struct Table {
  static void rms_norm(const NormRows& job) {
    job.storage == Storage::kFloat32 ? norm_rows<V, Float32>(job) : norm_rows<V, BFloat16>(job);
  }
  static void silu_multiply(const GateRows& job) {
    job.storage == Storage::kFloat32 ? gate_rows<V, Float32>(job) : gate_rows<V, BFloat16>(job);
  }
  static void rotate(const RotateRows& job) {
    job.storage == Storage::kFloat32 ? rotate_rows<V, Float32>(job) : rotate_rows<V, BFloat16>(job);
  }
  static void quick_gelu(const void* x, void* y, Storage storage, std::int64_t begin, std::int64_t end) {
    storage == Storage::kFloat32 ? quick_gelu_range<V, Float32>(x, y, begin, end)
                                 : quick_gelu_range<V, BFloat16>(x, y, begin, end);
  }
  static void decode_head(const DecodeHead& job) {
    job.storage == Storage::kFloat32 ? decode_one_head<V, Float32>(job) : decode_one_head<V, BFloat16>(job);
  }
  static void widen(const void* x, Storage storage, float* y, std::int64_t count) {
    switch (storage) {
      case Storage::kFloat32:
        return widen_range<V, Float32>(x, y, count);
      case Storage::kBFloat16:
        return widen_range<V, BFloat16>(x, y, count);
      case Storage::kFloat16:
        return widen_range<V, Float16>(x, y, count);
    }
  }
  static void narrow(const void* x, Storage storage, std::uint16_t* y, std::int64_t count) {
    switch (storage) {
      case Storage::kFloat32:
        return narrow_range<V, Float32>(x, y, count);
      case Storage::kBFloat16:
        return narrow_range<V, BFloat16>(x, y, count);
      case Storage::kFloat16:
        return narrow_range<V, Float16>(x, y, count);
    }
  }
  // The loop for fp32 or the one for bf16, the two types of activations.
  template <typename Job>
  static void by_storage(const Job& job, void (*fp32)(const Job&), void (*bf16)(const Job&)) {
    job.storage == Storage::kFloat32 ? fp32(job) : bf16(job);
  }
  static void add_norm(const AddNormRows& job) {
    by_storage(job, add_norm_rows<V, Float32>, add_norm_rows<V, BFloat16>);
  }
  static void row_products(const RowProductRows& job) {
    by_storage(job, row_product_rows<V, Float32>, row_product_rows<V, BFloat16>);
  }
  static void norm_backward(const NormBackwardRows& job) {
    by_storage(job, norm_backward_rows<V, Float32>, norm_backward_rows<V, BFloat16>);
  }
  static void gate_backward(const GateBackwardRows& job) {
    by_storage(job, gate_backward_rows<V, Float32>, gate_backward_rows<V, BFloat16>);
  }
  static void cross_entropy(const CrossEntropyRows& job) {
    by_storage(job, cross_entropy_rows<V, Float32>, cross_entropy_rows<V, BFloat16>);
  }
  static void dropout(const DropoutRows& job) { by_storage(job, dropout_rows<V, Float32>, dropout_rows<V, BFloat16>); }
  static void attend(const AttentionHead& job) {
    by_storage(job, attention_forward<V, Float32>, attention_forward<V, BFloat16>);
  }
  static void attend_backward(const AttentionHead& job) {
    by_storage(job, attention_backward<V, Float32>, attention_backward<V, BFloat16>);
  }
  static constexpr CpuKernels make(CpuIsa isa, const char* name) {
    return {isa,      name,         skinny_product<V>, rms_norm,      silu_multiply,
            rotate,   quick_gelu,   decode_head,       widen,         narrow,
            add_norm, row_products, norm_backward,     gate_backward, cross_entropy,
            dropout,  attend,       attend_backward};
  }
};

}  // namespace
}  // namespace striate
