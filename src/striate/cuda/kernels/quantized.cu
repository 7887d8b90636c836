// Frozen weights of 8 and 4 bits read as fp32 or bf16, and rows rounded to e4m3 (tensor/quantized_matrix.h).
#include "device.cuh"

// One of the 256 values of e4m3: its bits are those of an fp32 with another exponent.
__device__ inline float e4m3_value(unsigned bits) {
  const float magnitude = __uint_as_float((bits & 0x7FU) << 20) * __uint_as_float(0x7B800000U);  // 2^120
  return (bits & 0x80U) != 0 ? -magnitude : magnitude;
}

// The nearest e4m3, ties to even, of x between -448 and 448.
__device__ inline unsigned e4m3_bits(float x) {
  const unsigned bits = __float_as_uint(x);
  const unsigned sign = (bits >> 24) & 0x80U;
  const unsigned magnitude = bits & 0x7FFFFFFFU;
  if (magnitude < 0x3C800000U) {  // below 2^-6 the values are multiples of 2^-9; 1.5 * 2^23 rounds to whole ones
    const float steps = __uint_as_float(magnitude) * 512.0F + 12582912.0F;
    return sign | (__float_as_uint(steps) - __float_as_uint(12582912.0F));
  }
  const unsigned rounded = magnitude + 0x7FFFFU + ((magnitude >> 20) & 1U);
  return sign | ((rounded >> 20) - (120U << 3));
}

// kCount bytes from p on: one alone, four, or eight at an address that is a multiple of 8.
template <int kCount>
__device__ inline void load_bytes(const unsigned char* p, unsigned* bytes) {
  if constexpr (kCount == 8) {
    const uint2 words = *reinterpret_cast<const uint2*>(p);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      bytes[i] = (words.x >> (8 * i)) & 0xFFU;
      bytes[i + 4] = (words.y >> (8 * i)) & 0xFFU;
    }
  } else {
#pragma unroll
    for (int i = 0; i < kCount; ++i) bytes[i] = p[i];
  }
}

// One block for each row: to = value(code) * scale.
template <typename T, typename Value>
__device__ inline void dequantize_row(const unsigned char* codes, const float* scales, T* to, int columns,
                                      Value value) {
  codes += static_cast<int64>(blockIdx.x) * columns;
  to += static_cast<int64>(blockIdx.x) * columns;
  const float scale = scales[blockIdx.x];
  over_columns<T>(columns, is_wide(to) && (reinterpret_cast<uint64>(codes) & 7U) == 0, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    unsigned bytes[kCount];
    load_bytes<kCount>(codes + i, bytes);
    Values<kCount> out;
#pragma unroll
    for (int k = 0; k < kCount; ++k) out.v[k] = value(bytes[k]) * scale;
    store(out, to + i);
  });
}

__device__ inline float int8_value(unsigned byte) {
  return static_cast<float>(static_cast<signed char>(byte));
}

STRIATE_KERNEL dequantize_int8_f32(const unsigned char* codes, const float* scales, float* to, int columns) {
  dequantize_row(codes, scales, to, columns, [](unsigned byte) { return int8_value(byte); });
}
STRIATE_KERNEL dequantize_int8_bf16(const unsigned char* codes, const float* scales, BFloat16* to, int columns) {
  dequantize_row(codes, scales, to, columns, [](unsigned byte) { return int8_value(byte); });
}
STRIATE_KERNEL dequantize_fp8_f32(const unsigned char* codes, const float* scales, float* to, int columns) {
  dequantize_row(codes, scales, to, columns, [](unsigned byte) { return e4m3_value(byte); });
}
STRIATE_KERNEL dequantize_fp8_bf16(const unsigned char* codes, const float* scales, BFloat16* to, int columns) {
  dequantize_row(codes, scales, to, columns, [](unsigned byte) { return e4m3_value(byte); });
}

// Elements [first, first + count) of a matrix in nf4, kNf4Chunk of them for each block of threads. `coarse` holds the
// 16 levels, the 256 levels of scales, the scales' mean, and the largest scale of every 256 blocks of 64 elements.
constexpr int kNf4Chunk = 8192;
constexpr int kScaleLevels = 16;
constexpr int kScaleMean = kScaleLevels + 256;

template <typename T>
__device__ inline void dequantize_nf4(const unsigned char* packed, const unsigned char* scales, const float* coarse,
                                      T* to, int64 first, int64 count) {
  STRIATE_SHARED(float, levels, 16);
  if (threadIdx.x < 16) levels[threadIdx.x] = coarse[threadIdx.x];
  __syncthreads();
  const float mean = coarse[kScaleMean];
  const int64 begin = static_cast<int64>(blockIdx.x) * kNf4Chunk;
  const int here = static_cast<int>(count - begin < kNf4Chunk ? count - begin : kNf4Chunk);
  first += begin;
  to += begin;
  // From a multiple of 8 on, what one access writes is in one block of 64.
  over_columns<T>(here, is_wide(to) && first % 8 == 0, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    const int64 at = first + i;
    const int64 block = at / 64;
    const float scale = coarse[kScaleLevels + scales[block]] * coarse[kScaleMean + 1 + block / 256] + mean;
    Values<kCount> out;
    if constexpr (kCount == 1) {
      const unsigned byte = packed[at / 2];
      out.v[0] = levels[at % 2 == 0 ? byte >> 4 : byte & 15U] * scale;
    } else {
#pragma unroll
      for (int k = 0; k < kCount; k += 2) {
        const unsigned byte = packed[at / 2 + k / 2];
        out.v[k] = levels[byte >> 4] * scale;
        out.v[k + 1] = levels[byte & 15U] * scale;
      }
    }
    store(out, to + i);
  });
}

STRIATE_KERNEL dequantize_nf4_f32(const unsigned char* packed, const unsigned char* scales, const float* coarse,
                                  float* to, int64 first, int64 count) {
  dequantize_nf4(packed, scales, coarse, to, first, count);
}
STRIATE_KERNEL dequantize_nf4_bf16(const unsigned char* packed, const unsigned char* scales, const float* coarse,
                                   BFloat16* to, int64 first, int64 count) {
  dequantize_nf4(packed, scales, coarse, to, first, count);
}

// One block for each row: e4m3 codes, and the scale that gives the row back. A row that is not finite has a scale of
// NaN.
template <typename T>
__device__ inline void quantize_row(const T* x, unsigned char* codes, float* scales, int columns) {
  x += static_cast<int64>(blockIdx.x) * columns;
  codes += static_cast<int64>(blockIdx.x) * columns;
  float largest = 0.0F;
  over_columns<T>(columns, is_wide(x), [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    const Values<kCount> v = load<kCount>(x + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const float size = v.v[k] < 0.0F ? -v.v[k] : v.v[k];
      if (!(size <= largest)) largest = size == size ? size : -minus_infinity();
    }
  });
  largest = over_block(largest, 0.0F, [](float a, float b) { return a < b ? b : a; });
  const bool finite = largest < -minus_infinity();
  const float scale = largest / 448.0F;
  const float divisor = scale == 0.0F ? 1.0F : scale;
  if (threadIdx.x == 0) scales[blockIdx.x] = finite ? scale : __uint_as_float(0x7FC00000U);
  over_columns<T>(columns, is_wide(x), [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    const Values<kCount> v = load<kCount>(x + i);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      float part = v.v[k] / divisor;
      part = part > 448.0F ? 448.0F : part < -448.0F ? -448.0F : part;
      codes[i + k] = static_cast<unsigned char>(finite ? e4m3_bits(part) : 0U);
    }
  });
}

STRIATE_KERNEL quantize_rows_f32(const float* x, unsigned char* codes, float* scales, int columns) {
  quantize_row(x, codes, scales, columns);
}
STRIATE_KERNEL quantize_rows_bf16(const BFloat16* x, unsigned char* codes, float* scales, int columns) {
  quantize_row(x, codes, scales, columns);
}
