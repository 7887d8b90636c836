// The loops themselves, over a vector type V that each instruction set defines. Everything is in an unnamed namespace:
// each file that includes this gets a copy of its own, compiled with its own flags.
#pragma once

#include "striate/tensor/kernels/cpu_kernels.h"

namespace striate {
namespace {

// One number at a time: the fallback, and the tail of every vector loop.
struct ScalarVector {
  static constexpr std::int64_t kWidth = 1;
  static constexpr int kRegisters = 16;
  float v;

  static ScalarVector load(const float* p) { return {*p}; }
  static ScalarVector load_bf16(const std::uint16_t* p) {
    return {__builtin_bit_cast(float, static_cast<std::uint32_t>(*p) << 16)};
  }
  static ScalarVector load_f16(const std::uint16_t* p) {
    const std::uint32_t sign = (*p & 0x8000U) << 16;
    const std::uint32_t exponent = (*p >> 10) & 0x1FU;
    const std::uint32_t mantissa = *p & 0x3FFU;
    if (exponent == 0) {  // zero and subnormals
      const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
      return {sign != 0 ? -magnitude : magnitude};
    }
    const std::uint32_t wide = exponent == 31 ? 0x7F800000U : (exponent + 112) << 23;
    return {__builtin_bit_cast(float, sign | wide | (mantissa << 13))};
  }
  static ScalarVector set(float x) { return {x}; }
  void store(float* p) const { *p = v; }
  void store_bf16(std::uint16_t* p) const {
    const auto bits = __builtin_bit_cast(std::uint32_t, v);
    const bool nan = v != v;
    *p = static_cast<std::uint16_t>(nan ? 0x7FC0U : (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
  }
  float sum() const { return v; }
  float highest() const { return v; }
  static ScalarVector max(ScalarVector a, ScalarVector b) { return {b.v > a.v ? b.v : a.v}; }
  ScalarVector reciprocal() const { return {1.0F / v}; }
  ScalarVector exp() const { return {__builtin_expf(v)}; }

  friend ScalarVector operator+(ScalarVector a, ScalarVector b) { return {a.v + b.v}; }
  friend ScalarVector operator-(ScalarVector a, ScalarVector b) { return {a.v - b.v}; }
  friend ScalarVector operator*(ScalarVector a, ScalarVector b) { return {a.v * b.v}; }
  friend ScalarVector operator/(ScalarVector a, ScalarVector b) { return {a.v / b.v}; }
  static ScalarVector fma(ScalarVector a, ScalarVector b, ScalarVector c) { return {a.v * b.v + c.v}; }
};

// Storage types: how elements of one are read and written.
struct Float32 {
  using Type = float;
  template <typename V>
  static V load(const float* p) {
    return V::load(p);
  }
  template <typename V>
  static void store(V v, float* p) {
    v.store(p);
  }
};

struct BFloat16 {
  using Type = std::uint16_t;
  template <typename V>
  static V load(const std::uint16_t* p) {
    return V::load_bf16(p);
  }
  template <typename V>
  static void store(V v, std::uint16_t* p) {
    v.store_bf16(p);
  }
};

struct Float16 {
  using Type = std::uint16_t;
  template <typename V>
  static V load(const std::uint16_t* p) {
    return V::load_f16(p);
  }
};

// kRows weight rows by kTokens tokens. Each sum is one chain of V over the columns and then the rest one at a time, so
// that it has the same bits whatever block it was computed in.
template <typename V, typename S, int kTokens, int kRows>
void skinny_block(const SkinnyProduct& job, std::int64_t row) {
  using T = typename S::Type;
  const T* w = static_cast<const T*>(job.weight) + row * job.columns;
  V sums[kRows][kTokens];
  for (auto& of_row : sums) {
    for (V& sum : of_row) sum = V::set(0.0F);
  }
  const auto multiply_add = [&](std::int64_t i) {
    V weights[kRows];
    for (int r = 0; r < kRows; ++r) weights[r] = S::template load<V>(w + r * job.columns + i);
    for (int t = 0; t < kTokens; ++t) {
      const V x = V::load(job.x + t * job.columns + i);
      for (int r = 0; r < kRows; ++r) sums[r][t] = V::fma(weights[r], x, sums[r][t]);
    }
  };
  // Each step takes a cache line of every row and asks for the line `kAhead` further on; near the end of the rows that
  // is the beginning of the next block's.
  constexpr std::int64_t kSize = static_cast<std::int64_t>(sizeof(T));
  constexpr std::int64_t kStep = 64 / kSize;
  constexpr std::int64_t kAhead = 1024 / kSize;
  std::int64_t i = 0;
  for (; i + kStep <= job.columns; i += kStep) {
    const std::int64_t ahead = i + kAhead < job.columns ? i + kAhead : i + kAhead + (kRows - 1) * job.columns;
    for (int r = 0; r < kRows; ++r) {
      __builtin_prefetch(reinterpret_cast<const char*>(w) + (r * job.columns + ahead) * kSize);
    }
#pragma GCC unroll 16
    for (std::int64_t j = 0; j < kStep; j += V::kWidth) multiply_add(i + j);
  }
  for (; i + V::kWidth <= job.columns; i += V::kWidth) multiply_add(i);
  for (int t = 0; t < kTokens; ++t) {
    for (int r = 0; r < kRows; ++r) {
      float sum = sums[r][t].sum();
      for (std::int64_t k = i; k < job.columns; ++k) {
        sum += S::template load<ScalarVector>(w + r * job.columns + k).v * job.x[t * job.columns + k];
      }
      job.y[t * job.y_stride + row + r] = sum;
    }
  }
}

template <typename V, typename S, int kTokens>
void skinny_range(const SkinnyProduct& job) {
  // As many rows as leave room in the registers for the sums, the weights and one x.
  constexpr int kFit = (V::kRegisters - 2) / (kTokens + 1);
  constexpr int kRows = kFit >= 4 ? 4 : kFit >= 2 ? 2 : 1;
  std::int64_t row = job.row_begin;
  for (; row + kRows <= job.row_end; row += kRows) skinny_block<V, S, kTokens, kRows>(job, row);
  for (; row < job.row_end; ++row) skinny_block<V, S, kTokens, 1>(job, row);
}

template <typename V, typename S>
void skinny_rows(const SkinnyProduct& job) {
  static_assert(kMaxSkinnyTokens == 8);
  switch (job.tokens) {
    case 1:
      return skinny_range<V, S, 1>(job);
    case 2:
      return skinny_range<V, S, 2>(job);
    case 3:
      return skinny_range<V, S, 3>(job);
    case 4:
      return skinny_range<V, S, 4>(job);
    case 5:
      return skinny_range<V, S, 5>(job);
    case 6:
      return skinny_range<V, S, 6>(job);
    case 7:
      return skinny_range<V, S, 7>(job);
    default:
      return skinny_range<V, S, 8>(job);
  }
}

template <typename V>
void skinny_product(const SkinnyProduct& job) {
  switch (job.storage) {
    case Storage::kFloat32:
      return skinny_rows<V, Float32>(job);
    case Storage::kBFloat16:
      return skinny_rows<V, BFloat16>(job);
    case Storage::kFloat16:
      return skinny_rows<V, Float16>(job);
  }
}

// body(tag, offset) for whole vectors of V from 0, then for the rest one at a time.
template <typename V, typename Body>
void for_vectors(std::int64_t count, Body body) {
  std::int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) body(V{}, i);
  for (; i < count; ++i) body(ScalarVector{}, i);
}

template <typename V, typename S>
void norm_row(const typename S::Type* x, const float* weight, typename S::Type* y, std::int64_t columns, float eps) {
  V squares = V::set(0.0F);
  std::int64_t i = 0;
  for (; i + V::kWidth <= columns; i += V::kWidth) {
    const V value = S::template load<V>(x + i);
    squares = V::fma(value, value, squares);
  }
  float sum = squares.sum();
  for (; i < columns; ++i) {
    const float value = S::template load<ScalarVector>(x + i).v;
    sum += value * value;
  }
  const float scale = 1.0F / __builtin_sqrtf(sum / static_cast<float>(columns) + eps);
  for_vectors<V>(columns, [&](auto tag, std::int64_t k) {
    using W = decltype(tag);
    S::store(S::template load<W>(x + k) * W::set(scale) * W::load(weight + k), y + k);
  });
}

template <typename V, typename S>
void norm_rows(const NormRows& job) {
  using T = typename S::Type;
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    norm_row<V, S>(static_cast<const T*>(job.x) + r * job.x_stride, job.weight,
                   static_cast<T*>(job.y) + r * job.columns, job.columns, job.eps);
  }
}

template <typename V, typename S>
void row_product_rows(const RowProductRows& job) {
  using T = typename S::Type;
  constexpr std::int64_t kBlock = 32 * V::kWidth;  // each lane adds 32 products in fp32
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    const T* a = static_cast<const T*>(job.a) + r * job.a_stride;
    const T* b = static_cast<const T*>(job.b) + r * job.b_stride;
    double* sums = job.sums + 3 * r;
    sums[0] = sums[1] = sums[2] = 0.0;
    for (std::int64_t first = 0; first < job.columns; first += kBlock) {
      const std::int64_t end = first + kBlock < job.columns ? first + kBlock : job.columns;
      V products = V::set(0.0F);
      V a_squares = V::set(0.0F);
      V b_squares = V::set(0.0F);
      std::int64_t i = first;
      for (; i + V::kWidth <= end; i += V::kWidth) {
        const V x = S::template load<V>(a + i);
        const V y = S::template load<V>(b + i);
        products = V::fma(x, y, products);
        a_squares = V::fma(x, x, a_squares);
        b_squares = V::fma(y, y, b_squares);
      }
      sums[0] += static_cast<double>(products.sum());
      sums[1] += static_cast<double>(a_squares.sum());
      sums[2] += static_cast<double>(b_squares.sum());
      for (; i < end; ++i) {
        const double x = S::template load<ScalarVector>(a + i).v;
        const double y = S::template load<ScalarVector>(b + i).v;
        sums[0] += x * y;
        sums[1] += x * x;
        sums[2] += y * y;
      }
    }
  }
}

template <typename V, typename S>
void gate_rows(const GateRows& job) {
  using T = typename S::Type;
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    const T* gate = static_cast<const T*>(job.gate) + r * job.gate_stride;
    const T* up = static_cast<const T*>(job.up) + r * job.up_stride;
    T* y = static_cast<T*>(job.y) + r * job.columns;
    for_vectors<V>(job.columns, [&](auto tag, std::int64_t i) {
      using W = decltype(tag);
      const W g = S::template load<W>(gate + i);
      const W silu = g * (W::set(1.0F) + (W::set(0.0F) - g).exp()).reciprocal();
      S::store(silu * S::template load<W>(up + i), y + i);
    });
  }
}

template <typename V, typename S>
void rotate_rows(const RotateRows& job) {
  using T = typename S::Type;
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    const float* cosine = job.cos + r * job.half;
    const float* sine = job.sin + r * job.half;
    for (std::int64_t h = 0; h < job.heads; ++h) {
      T* x = static_cast<T*>(job.x) + r * job.token_stride + h * job.head_stride;
      for_vectors<V>(job.half, [&](auto tag, std::int64_t i) {
        using W = decltype(tag);
        const W a = S::template load<W>(x + i);
        const W b = S::template load<W>(x + job.half + i);
        const W c = W::load(cosine + i);
        const W s = W::load(sine + i);
        S::store(a * c - b * s, x + i);
        S::store(b * c + a * s, x + job.half + i);
      });
    }
  }
}

template <typename V, typename S>
void quick_gelu_range(const void* in, void* out, std::int64_t begin, std::int64_t end) {
  using T = typename S::Type;
  const T* x = static_cast<const T*>(in) + begin;
  T* y = static_cast<T*>(out) + begin;
  for_vectors<V>(end - begin, [&](auto tag, std::int64_t i) {
    using W = decltype(tag);
    const W value = S::template load<W>(x + i);
    S::store(value / (W::set(1.0F) + (value * W::set(-1.702F)).exp()), y + i);
  });
}

template <typename V, typename S>
void decode_one_head(const DecodeHead& job) {
  using T = typename S::Type;
  const T* keys = static_cast<const T*>(job.keys);
  const T* values = static_cast<const T*>(job.values);
  float highest = -__builtin_inff();
  for (std::int64_t t = 0; t < job.length; ++t) {
    const T* key = keys + t * job.dim;
    V sums = V::set(0.0F);
    std::int64_t i = 0;
    for (; i + V::kWidth <= job.dim; i += V::kWidth)
      sums = V::fma(V::load(job.q + i), S::template load<V>(key + i), sums);
    float score = sums.sum();
    for (; i < job.dim; ++i) score += job.q[i] * S::template load<ScalarVector>(key + i).v;
    job.scores[t] = score * job.scale;
    highest = job.scores[t] > highest ? job.scores[t] : highest;
  }
  float total = 0.0F;
  for_vectors<V>(job.length, [&](auto tag, std::int64_t t) {
    using W = decltype(tag);
    const W weight = (W::load(job.scores + t) - W::set(highest)).exp();
    weight.store(job.scores + t);
    total += weight.sum();
  });
  for (std::int64_t i = 0; i < job.dim; ++i) job.y[i] = 0.0F;
  for (std::int64_t t = 0; t < job.length; ++t) {
    const float weight = job.scores[t] / total;
    for_vectors<V>(job.dim, [&](auto tag, std::int64_t i) {
      using W = decltype(tag);
      W::fma(W::set(weight), S::template load<W>(values + t * job.dim + i), W::load(job.y + i)).store(job.y + i);
    });
  }
}

template <typename V, typename S>
void widen_range(const void* in, float* y, std::int64_t count) {
  const auto* x = static_cast<const typename S::Type*>(in);
  for_vectors<V>(count, [&](auto tag, std::int64_t i) { S::template load<decltype(tag)>(x + i).store(y + i); });
}

template <typename V, typename S>
void narrow_range(const void* in, std::uint16_t* y, std::int64_t count) {
  const auto* x = static_cast<const typename S::Type*>(in);
  for_vectors<V>(count, [&](auto tag, std::int64_t i) { S::template load<decltype(tag)>(x + i).store_bf16(y + i); });
}

}  // namespace
}  // namespace striate
