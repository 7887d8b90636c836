// Dropout whose mask is a function of keys alone: the masks of the CPU's loop (tensor/kernels/train_bodies.h), bit for
// bit.
#include "device.cuh"

// SplitMix64's finaliser (Steele et al., OOPSLA 2014).
__device__ inline uint64 mix_bits(uint64 z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// y = (or +=) x masked and scaled: a column is masked out where its 16 random bits are below `threshold`. One draw of
// 64 bits decides four columns. One block for each row.
template <typename T, bool kAdd>
__device__ inline void masked(const T* x, T* y, const int64* row_keys, uint64 key, unsigned threshold, float scale,
                              int columns) {
  x += static_cast<int64>(blockIdx.x) * columns;
  y += static_cast<int64>(blockIdx.x) * columns;
  const uint64 row_key = mix_bits(static_cast<uint64>(row_keys[blockIdx.x]) ^ key);
  over_columns<T>(columns, is_wide(x) && is_wide(y), [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> out = load<kCount>(x + i);
    Values<kCount> sum;
    if constexpr (kAdd) sum = load<kCount>(y + i);
    uint64 bits = 0;
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const int column = i + k;
      if (k % 4 == 0) {
        bits = mix_bits(row_key + static_cast<uint64>(column & ~3) * 0x9E3779B97F4A7C15ULL);
        if (kCount == 1) bits >>= 16 * (column & 3);
      }
      const unsigned draw = static_cast<unsigned>(bits >> (16 * (k % 4))) & 0xFFFFU;
      out.v[k] = out.v[k] * (draw < threshold ? 0.0F : scale);
      if constexpr (kAdd) out.v[k] = sum.v[k] + out.v[k];
    }
    store(out, y + i);
  });
}

STRIATE_KERNEL
dropout_f32(const float* x, float* y, const int64* row_keys, uint64 key, unsigned threshold, float scale, int columns) {
  masked<float, false>(x, y, row_keys, key, threshold, scale, columns);
}
STRIATE_KERNEL
dropout_bf16(const BFloat16* x, BFloat16* y, const int64* row_keys, uint64 key, unsigned threshold, float scale,
             int columns) {
  masked<BFloat16, false>(x, y, row_keys, key, threshold, scale, columns);
}
STRIATE_KERNEL
add_dropout_f32(const float* x, float* y, const int64* row_keys, uint64 key, unsigned threshold, float scale,
                int columns) {
  masked<float, true>(x, y, row_keys, key, threshold, scale, columns);
}
STRIATE_KERNEL
add_dropout_bf16(const BFloat16* x, BFloat16* y, const int64* row_keys, uint64 key, unsigned threshold, float scale,
                 int columns) {
  masked<BFloat16, true>(x, y, row_keys, key, threshold, scale, columns);
}
