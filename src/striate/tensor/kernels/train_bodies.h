// The loops of training, over a vector type V that each instruction set defines; see kernel_bodies.h.
#pragma once

#include "striate/tensor/kernels/kernel_bodies.h"

namespace striate {
namespace {

// The sum of body(tag, offset) over whole vectors of V from 0 and then the rest, in an order that depends on `count`
// alone.
template <typename V, typename Body>
float sum_vectors(std::int64_t count, Body body) {
  V total = V::set(0.0F);
  std::int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) total = total + body(V{}, i);
  float sum = total.sum();
  for (; i < count; ++i) sum += body(ScalarVector{}, i).v;
  return sum;
}

template <typename V, typename S>
void add_norm_rows(const AddNormRows& job) {
  using T = typename S::Type;
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    const std::int64_t at = r * job.columns;
    const T* x = static_cast<const T*>(job.x) + at;
    const T* delta = static_cast<const T*>(job.delta) + at;
    T* sum = static_cast<T*>(job.sum) + at;
    T* y = static_cast<T*>(job.y) + at;
    for_vectors<V>(job.columns, [&](auto tag, std::int64_t i) {
      using W = decltype(tag);
      S::store(S::template load<W>(x + i) + S::template load<W>(delta + i), sum + i);
    });
    // The norm reads the sum as it is stored: computing it again from there gives the same bits.
    norm_row<V, S>(sum, job.weight, y, job.columns, job.eps);
  }
}

// With s = 1 / sqrt(mean(x^2) + eps): dx = s (w dy) - s^3 x mean(x w dy).
template <typename V, typename S>
void norm_backward_rows(const NormBackwardRows& job) {
  using T = typename S::Type;
  const auto width = static_cast<float>(job.columns);
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    const std::int64_t at = r * job.columns;
    const T* x = static_cast<const T*>(job.x) + at;
    const T* dy = static_cast<const T*>(job.dy) + at;
    T* dx = static_cast<T*>(job.dx) + at;
    V square_sums = V::set(0.0F);
    V product_sums = V::set(0.0F);
    std::int64_t i = 0;
    for (; i + V::kWidth <= job.columns; i += V::kWidth) {
      const V value = S::template load<V>(x + i);
      square_sums = V::fma(value, value, square_sums);
      product_sums = V::fma(value * V::load(job.weight + i), S::template load<V>(dy + i), product_sums);
    }
    float squares = square_sums.sum();
    float products = product_sums.sum();
    for (; i < job.columns; ++i) {
      const float value = S::template load<ScalarVector>(x + i).v;
      squares += value * value;
      products += value * job.weight[i] * S::template load<ScalarVector>(dy + i).v;
    }
    const float scale = 1.0F / __builtin_sqrtf(squares / width + job.eps);
    const float along = -scale * scale * scale * products / width;
    for_vectors<V>(job.columns, [&](auto tag, std::int64_t k) {
      using W = decltype(tag);
      const W through = W::set(scale) * W::load(job.weight + k) * S::template load<W>(dy + k);
      const W from_norm = W::fma(S::template load<W>(x + k), W::set(along), through);
      S::store(S::template load<W>(dx + k) + from_norm, dx + k);
    });
  }
}

template <typename V, typename S>
void gate_backward_rows(const GateBackwardRows& job) {
  using T = typename S::Type;
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    T* gate = static_cast<T*>(job.gate) + r * job.stride;
    T* up = static_cast<T*>(job.up) + r * job.stride;
    const T* dy = static_cast<const T*>(job.dy) + r * job.columns;
    for_vectors<V>(job.columns, [&](auto tag, std::int64_t i) {
      using W = decltype(tag);
      const W one = W::set(1.0F);
      const W g = S::template load<W>(gate + i);
      const W u = S::template load<W>(up + i);
      const W d = S::template load<W>(dy + i);
      const W sigmoid = (one + (W::set(0.0F) - g).exp()).reciprocal();
      const W silu = g * sigmoid;
      S::store(d * u * sigmoid * W::fma(g, one - sigmoid, one), gate + i);
      S::store(d * silu, up + i);
    });
  }
}

template <typename V, typename S>
void cross_entropy_rows(const CrossEntropyRows& job) {
  using T = typename S::Type;
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    T* logits = static_cast<T*>(job.logits) + r * job.columns;
    const std::int64_t target = job.targets[r];
    V highest_of = V::set(-__builtin_inff());
    std::int64_t i = 0;
    for (; i + V::kWidth <= job.columns; i += V::kWidth)
      highest_of = V::max(highest_of, S::template load<V>(logits + i));
    float highest = highest_of.highest();
    for (; i < job.columns; ++i) {
      const float value = S::template load<ScalarVector>(logits + i).v;
      highest = value > highest ? value : highest;
    }
    const float total = sum_vectors<V>(job.columns, [&](auto tag, std::int64_t k) {
      using W = decltype(tag);
      return (S::template load<W>(logits + k) - W::set(highest)).exp();
    });
    const float at_target = S::template load<ScalarVector>(logits + target).v;
    job.nll[r] = highest - at_target + __builtin_logf(total);
    if (job.scale == 0.0F) continue;
    const float share = job.scale / total;
    for_vectors<V>(job.columns, [&](auto tag, std::int64_t k) {
      using W = decltype(tag);
      S::store((S::template load<W>(logits + k) - W::set(highest)).exp() * W::set(share), logits + k);
    });
    const float probability = __builtin_expf(at_target - highest) / total;
    S::store(ScalarVector{(probability - 1.0F) * job.scale}, logits + target);
  }
}

// SplitMix64's finaliser (Steele et al., OOPSLA 2014), as in base/random.h.
inline std::uint64_t mix_bits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

template <typename V, typename S>
void dropout_rows(const DropoutRows& job) {
  using T = typename S::Type;
  constexpr std::int64_t kPerDraw = 4;  // one draw of 64 bits decides four columns
  constexpr std::int64_t kBlock = 64;
  float keep[kBlock];
  for (std::int64_t r = job.row_begin; r < job.row_end; ++r) {
    const T* x = static_cast<const T*>(job.x) + r * job.columns;
    T* y = static_cast<T*>(job.y) + r * job.columns;
    const std::uint64_t key = mix_bits(job.row_keys[r] ^ job.key);
    for (std::int64_t first = 0; first < job.columns; first += kBlock) {
      const std::int64_t count = job.columns - first < kBlock ? job.columns - first : kBlock;
      for (std::int64_t i = 0; i < kBlock; i += kPerDraw) {
        const std::uint64_t bits = mix_bits(key + static_cast<std::uint64_t>(first + i) * 0x9E3779B97F4A7C15ULL);
        for (std::int64_t k = 0; k < kPerDraw; ++k) {
          keep[i + k] = ((bits >> (16 * k)) & 0xFFFFU) < job.threshold ? 0.0F : job.scale;
        }
      }
      for_vectors<V>(count, [&](auto tag, std::int64_t i) {
        using W = decltype(tag);
        const W value = S::template load<W>(x + first + i) * W::load(keep + i);
        S::store(job.accumulate ? S::template load<W>(y + first + i) + value : value, y + first + i);
      });
    }
  }
}

}  // namespace
}  // namespace striate
