// The activations of decoder and vision tower: silu(gate) * up with its gradient in place, and CLIP's quick_gelu.
#include "device.cuh"

__device__ inline float sigmoid(float x) {
  return 1.0F / (1.0F + expf(-x));
}

// Rows of gate and up lie `stride` elements apart, those of y side by side. One block for each row.
template <typename T>
__device__ inline void silu_multiply(const T* gate, int64 gate_stride, const T* up, int64 up_stride, T* y,
                                     int columns) {
  gate += blockIdx.x * gate_stride;
  up += blockIdx.x * up_stride;
  y += static_cast<int64>(blockIdx.x) * columns;
  over_columns<T>(columns, is_wide(gate) && is_wide(up) && is_wide(y), [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    const Values<kCount> g = load<kCount>(gate + i);
    Values<kCount> out = load<kCount>(up + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) out.v[k] = g.v[k] * sigmoid(g.v[k]) * out.v[k];
    store(out, y + i);
  });
}

STRIATE_KERNEL
silu_multiply_f32(const float* gate, int64 gate_stride, const float* up, int64 up_stride, float* y, int columns) {
  silu_multiply(gate, gate_stride, up, up_stride, y, columns);
}
STRIATE_KERNEL
silu_multiply_bf16(const BFloat16* gate, int64 gate_stride, const BFloat16* up, int64 up_stride, BFloat16* y,
                   int columns) {
  silu_multiply(gate, gate_stride, up, up_stride, y, columns);
}

// gate and up become the gradients by them.
template <typename T>
__device__ inline void silu_multiply_backward(T* gate, T* up, int64 stride, const T* dy, int columns) {
  gate += blockIdx.x * stride;
  up += blockIdx.x * stride;
  dy += static_cast<int64>(blockIdx.x) * columns;
  over_columns<T>(columns, is_wide(gate) && is_wide(up) && is_wide(dy), [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> g = load<kCount>(gate + i);
    Values<kCount> u = load<kCount>(up + i);
    const Values<kCount> d = load<kCount>(dy + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const float s = sigmoid(g.v[k]);
      const float by_up = d.v[k] * (g.v[k] * s);
      g.v[k] = d.v[k] * u.v[k] * s * fmaf(g.v[k], 1.0F - s, 1.0F);
      u.v[k] = by_up;
    }
    store(g, gate + i);
    store(u, up + i);
  });
}

STRIATE_KERNEL silu_multiply_backward_f32(float* gate, float* up, int64 stride, const float* dy, int columns) {
  silu_multiply_backward(gate, up, stride, dy, columns);
}
STRIATE_KERNEL
silu_multiply_backward_bf16(BFloat16* gate, BFloat16* up, int64 stride, const BFloat16* dy, int columns) {
  silu_multiply_backward(gate, up, stride, dy, columns);
}

// y = x sigmoid(1.702 x) over `rows` blocks of `columns` elements, the last one shorter.
template <typename T>
__device__ inline void quick_gelu(const T* x, T* y, int64 count, int columns) {
  const int64 first = static_cast<int64>(blockIdx.x) * columns;
  x += first;
  y += first;
  const int here = static_cast<int>(count - first < columns ? count - first : columns);
  over_columns<T>(here, is_wide(x) && is_wide(y), [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> out = load<kCount>(x + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) out.v[k] = out.v[k] / (1.0F + expf(out.v[k] * -1.702F));
    store(out, y + i);
  });
}

STRIATE_KERNEL quick_gelu_f32(const float* x, float* y, int64 count, int columns) {
  quick_gelu(x, y, count, columns);
}
STRIATE_KERNEL quick_gelu_bf16(const BFloat16* x, BFloat16* y, int64 count, int columns) {
  quick_gelu(x, y, count, columns);
}
