// RMSNorm (Zhang and Sennrich, arXiv 1910.07467): forward, with a residual sum before it, and both gradients.
//
// One block for each row; the second reading of a row comes from the cache.
#include "device.cuh"

template <typename T>
__device__ inline void rms_norm(const T* x, int64 x_stride, const float* weight, T* y, int columns, float eps) {
  x += blockIdx.x * x_stride;
  y += static_cast<int64>(blockIdx.x) * columns;
  const bool wide = is_wide(x) && is_wide(y) && is_wide(weight);
  float squares = 0.0F;
  over_columns<T>(columns, wide, [&](auto width, int i) {
    const auto in = load<decltype(width)::kCount>(x + i);
    for (const float value : in.v) squares = fmaf(value, value, squares);
  });
  const float scale = 1.0F / sqrtf(block_sum(squares) / static_cast<float>(columns) + eps);
  over_columns<T>(columns, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> out = load<kCount>(x + i);
    const Values<kCount> w = load<kCount>(weight + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) out.v[k] = out.v[k] * scale * w.v[k];
    store(out, y + i);
  });
}

STRIATE_KERNEL
rms_norm_f32(const float* x, int64 x_stride, const float* weight, float* y, int columns, float eps) {
  rms_norm(x, x_stride, weight, y, columns, eps);
}
STRIATE_KERNEL
rms_norm_bf16(const BFloat16* x, int64 x_stride, const float* weight, BFloat16* y, int columns, float eps) {
  rms_norm(x, x_stride, weight, y, columns, eps);
}

// sum = x + delta, y = its norm as it is stored.
template <typename T>
__device__ inline void add_rms_norm(const T* x, const T* delta, const float* weight, T* sum, T* y, int columns,
                                    float eps) {
  const int64 row = static_cast<int64>(blockIdx.x) * columns;
  x += row;
  delta += row;
  sum += row;
  y += row;
  const bool wide = is_wide(x) && is_wide(delta) && is_wide(sum) && is_wide(y) && is_wide(weight);
  float squares = 0.0F;
  over_columns<T>(columns, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> both = load<kCount>(x + i);
    const Values<kCount> added = load<kCount>(delta + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      both.v[k] = rounded_as(both.v[k] + added.v[k], sum);
      squares = fmaf(both.v[k], both.v[k], squares);
    }
    store(both, sum + i);
  });
  const float scale = 1.0F / sqrtf(block_sum(squares) / static_cast<float>(columns) + eps);
  // A thread reads what it wrote itself.
  over_columns<T>(columns, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> out = load<kCount>(sum + i);
    const Values<kCount> w = load<kCount>(weight + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) out.v[k] = out.v[k] * scale * w.v[k];
    store(out, y + i);
  });
}

STRIATE_KERNEL
add_rms_norm_f32(const float* x, const float* delta, const float* weight, float* sum, float* y, int columns,
                 float eps) {
  add_rms_norm(x, delta, weight, sum, y, columns, eps);
}
STRIATE_KERNEL
add_rms_norm_bf16(const BFloat16* x, const BFloat16* delta, const float* weight, BFloat16* sum, BFloat16* y,
                  int columns, float eps) {
  add_rms_norm(x, delta, weight, sum, y, columns, eps);
}

// With s = 1 / sqrt(mean(x^2) + eps): dx += s (w dy) - s^3 x mean(x w dy).
template <typename T>
__device__ inline void rms_norm_gradient(const T* dy, const T* x, const float* weight, T* dx, int columns, float eps) {
  const int64 row = static_cast<int64>(blockIdx.x) * columns;
  dy += row;
  x += row;
  dx += row;
  const bool wide = is_wide(dy) && is_wide(x) && is_wide(dx) && is_wide(weight);
  float squares = 0.0F;
  float products = 0.0F;
  over_columns<T>(columns, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    const Values<kCount> in = load<kCount>(x + i);
    const Values<kCount> out = load<kCount>(dy + i);
    const Values<kCount> w = load<kCount>(weight + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      squares = fmaf(in.v[k], in.v[k], squares);
      products = fmaf(in.v[k] * w.v[k], out.v[k], products);
    }
  });
  const float count = static_cast<float>(columns);
  const float scale = 1.0F / sqrtf(block_sum(squares) / count + eps);
  const float along = -scale * scale * scale * block_sum(products) / count;
  over_columns<T>(columns, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> sum = load<kCount>(dx + i);
    const Values<kCount> in = load<kCount>(x + i);
    const Values<kCount> out = load<kCount>(dy + i);
    const Values<kCount> w = load<kCount>(weight + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) sum.v[k] = sum.v[k] + fmaf(in.v[k], along, scale * w.v[k] * out.v[k]);
    store(sum, dx + i);
  });
}

STRIATE_KERNEL
rms_norm_gradient_f32(const float* dy, const float* x, const float* weight, float* dx, int columns, float eps) {
  rms_norm_gradient(dy, x, weight, dx, columns, eps);
}
STRIATE_KERNEL
rms_norm_gradient_bf16(const BFloat16* dy, const BFloat16* x, const float* weight, BFloat16* dx, int columns,
                       float eps) {
  rms_norm_gradient(dy, x, weight, dx, columns, eps);
}

// The weight's gradient in two launches: each block adds up kNormRows rows (a warp finds the scale of a row), then the
// blocks' sums are added in their order.
constexpr int kNormRows = 32;

template <typename T>
__device__ inline void rms_norm_weight_sums(const T* dy, const T* x, float* sums, int64 rows, int columns, float eps) {
  STRIATE_SHARED(float, scales, kNormRows);
  const int64 first = static_cast<int64>(blockIdx.x) * kNormRows;
  const int count = static_cast<int>(rows - first < kNormRows ? rows - first : kNormRows);
  for (int r = static_cast<int>(threadIdx.x / 32); r < count; r += kWarps) {
    const T* row = x + (first + r) * columns;
    float squares = 0.0F;
    over_columns<T, 32>(columns, is_wide(row), [&](auto width, int i) {
      const auto in = load<decltype(width)::kCount>(row + i);
      for (const float value : in.v) squares = fmaf(value, value, squares);
    });
    squares = over_warp(squares, [](float a, float b) { return a + b; });
    if (threadIdx.x % 32 == 0) scales[r] = 1.0F / sqrtf(squares / static_cast<float>(columns) + eps);
  }
  __syncthreads();
  const bool wide = is_wide(dy) && is_wide(x) && is_wide(sums);
  over_columns<T>(columns, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> sum = {};
    for (int r = 0; r < count; ++r) {
      const Values<kCount> in = load<kCount>(x + (first + r) * columns + i);
      const Values<kCount> out = load<kCount>(dy + (first + r) * columns + i);
#pragma unroll
      for (int k = 0; k < kCount; ++k) sum.v[k] = fmaf(in.v[k] * scales[r], out.v[k], sum.v[k]);
    }
    store(sum, sums + static_cast<int64>(blockIdx.x) * columns + i);
  });
}

STRIATE_KERNEL
rms_norm_weight_sums_f32(const float* dy, const float* x, float* sums, int64 rows, int columns, float eps) {
  rms_norm_weight_sums(dy, x, sums, rows, columns, eps);
}
STRIATE_KERNEL
rms_norm_weight_sums_bf16(const BFloat16* dy, const BFloat16* x, float* sums, int64 rows, int columns, float eps) {
  rms_norm_weight_sums(dy, x, sums, rows, columns, eps);
}

// gradient[i] = the sum over `parts` of sums[part * columns + i].
STRIATE_KERNEL rms_norm_weight_total(const float* sums, float* gradient, int64 parts, int columns) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= columns) return;
  float sum = 0.0F;
  for (int64 part = 0; part < parts; ++part) sum += sums[part * columns + i];
  gradient[i] = sum;
}
