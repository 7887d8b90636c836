// What every kernel shares: fp32 and bf16 in memory, loops over rows, and sums over the threads of a block.
//
// A kernel source compiles in three ways: with NVRTC when the program first needs it, with nvcc, and as plain C++
// inside the emulator of the tests, which defines STRIATE_EMULATED and CUDA's words (__global__, threadIdx,
// __syncthreads, ...) before this file. NVRTC has no headers, so that nothing is included here.
//
// Rules of these sources: arithmetic is fp32 and is done as it is written (they are compiled with -fmad=false; where
// one rounding is meant, fmaf says so); no atomic operations, so that a result has the same bits every time; every
// thread of a block reaches every barrier and every shuffle.
#pragma once

#ifndef STRIATE_EMULATED
#define STRIATE_KERNEL extern "C" __global__ void __launch_bounds__(256)
#define STRIATE_SHARED(type, name, count) __shared__ type name[count]
#endif

typedef long long int64;
typedef unsigned long long uint64;

// Of every block of every kernel: a constant makes the loops' counts cheap.
constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

struct BFloat16 {
  unsigned short bits;
};

__device__ inline float widen(float x) {
  return x;
}
__device__ inline float widen(BFloat16 x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}

// The nearest bf16, ties to even; NaN stays NaN.
__device__ inline unsigned bf16_bits(float x) {
#ifdef STRIATE_EMULATED
  const unsigned bits = __float_as_uint(x);
  return x != x ? 0x7FC0U : (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
#else
  unsigned short bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
#endif
}

__device__ inline void narrow(float x, float* to) {
  *to = x;
}
__device__ inline void narrow(float x, BFloat16* to) {
  to->bits = static_cast<unsigned short>(bf16_bits(x));
}
__device__ inline float minus_infinity() {
  return __uint_as_float(0xFF800000U);
}
// x as a tensor of type T holds it.
__device__ inline float rounded_as(float x, const float*) {
  return x;
}
__device__ inline float rounded_as(float x, const BFloat16*) {
  return __uint_as_float(bf16_bits(x) << 16);
}

// Elements that one access of 16 bytes moves.
template <typename T>
struct Lanes {
  static constexpr int kCount = 16 / static_cast<int>(sizeof(T));
};

template <int kCount>
struct Values {
  float v[kCount];
};

__device__ inline void unpack(uint4 words, const float*, float* v) {
  v[0] = __uint_as_float(words.x);
  v[1] = __uint_as_float(words.y);
  v[2] = __uint_as_float(words.z);
  v[3] = __uint_as_float(words.w);
}
__device__ inline void unpack(uint4 words, const BFloat16*, float* v) {
  const unsigned pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    v[2 * i] = __uint_as_float(pairs[i] << 16);
    v[2 * i + 1] = __uint_as_float(pairs[i] & 0xFFFF0000U);
  }
}
__device__ inline uint4 pack(const float* v, const float*) {
  return {__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3])};
}
__device__ inline uint4 pack(const float* v, const BFloat16*) {
  return {bf16_bits(v[0]) | (bf16_bits(v[1]) << 16), bf16_bits(v[2]) | (bf16_bits(v[3]) << 16),
          bf16_bits(v[4]) | (bf16_bits(v[5]) << 16), bf16_bits(v[6]) | (bf16_bits(v[7]) << 16)};
}

// kCount values from p on: one alone, or whole accesses of 16 bytes at an address that is a multiple of 16.
template <int kCount, typename T>
__device__ inline Values<kCount> load(const T* p) {
  Values<kCount> values;
  if constexpr (kCount == 1) {
    values.v[0] = widen(*p);
  } else {
    static_assert(kCount % Lanes<T>::kCount == 0);
#pragma unroll
    for (int i = 0; i < kCount; i += Lanes<T>::kCount) {
      unpack(*reinterpret_cast<const uint4*>(p + i), p, values.v + i);
    }
  }
  return values;
}

template <int kCount, typename T>
__device__ inline void store(const Values<kCount>& values, T* p) {
  if constexpr (kCount == 1) {
    narrow(values.v[0], p);
  } else {
    static_assert(kCount % Lanes<T>::kCount == 0);
#pragma unroll
    for (int i = 0; i < kCount; i += Lanes<T>::kCount) {
      *reinterpret_cast<uint4*>(p + i) = pack(values.v + i, p);
    }
  }
}

// Whether p may be read 16 bytes at a time.
__device__ inline bool is_wide(const void* p) {
  return (reinterpret_cast<uint64>(p) & 15U) == 0;
}

template <int kLanes>
struct Width {
  static constexpr int kCount = kLanes;
};

// body(width, i) over 0 <= i < columns by kCrew neighbouring threads, the block or a warp, each call for the width's
// kCount columns from i on: 16 bytes of T where `wide`, which says that every row read or written begins at a multiple
// of 16 bytes, and where the columns are a multiple of that width; else one.
template <typename T, int kCrew = kThreads, typename Body>
__device__ inline void over_columns(int columns, bool wide, Body body) {
  constexpr int kWide = Lanes<T>::kCount;
  const int thread = static_cast<int>(kCrew == kThreads ? threadIdx.x : threadIdx.x % kCrew);
  if (wide && columns % kWide == 0) {
    for (int i = thread * kWide; i < columns; i += kCrew * kWide) body(Width<kWide>(), i);
  } else {
    for (int i = thread; i < columns; i += kCrew) body(Width<1>(), i);
  }
}

// Reductions give every thread the result, in an order that is always the same.
template <typename Number, typename Join>
__device__ inline Number over_warp(Number x, Join join) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x = join(x, __shfl_xor_sync(0xFFFFFFFFU, x, distance));
  return x;
}

template <typename Number, typename Join>
__device__ inline Number over_block(Number x, Number nothing, Join join) {
  STRIATE_SHARED(Number, of_warps, kWarps);
  x = over_warp(x, join);
  const unsigned lane = threadIdx.x % 32;
  if (lane == 0) of_warps[threadIdx.x / 32] = x;
  __syncthreads();
  x = lane < kWarps ? of_warps[lane] : nothing;
  __syncthreads();  // the next reduction writes there again
  return over_warp(x, join);
}

template <typename Number>
__device__ inline Number block_sum(Number x) {
  return over_block(x, static_cast<Number>(0), [](Number a, Number b) { return a + b; });
}
