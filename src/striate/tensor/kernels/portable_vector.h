// Four floats in the vector types of GCC and Clang, which become one register of SSE2, NEON, VSX, ... as the target has
// it. Included by portable_kernels.cpp alone. docs/decisions/0009-kernels-for-every-cpu.md says why it is four and not
// at::vec.
#pragma once

#include "striate/tensor/kernels/kernel_table.h"

namespace striate {
namespace {

struct PortableVector {
  using Floats = float __attribute__((vector_size(16)));
  using Words = std::uint32_t __attribute__((vector_size(16)));
  using Halves = std::uint16_t __attribute__((vector_size(8)));
  static constexpr std::int64_t kWidth = 4;
  static constexpr int kRegisters = 16;
  Floats v;

  template <typename T>
  static T read(const void* p) {
    T values;
    __builtin_memcpy(&values, p, sizeof values);
    return values;
  }
  static Words words(const std::uint16_t* p) { return __builtin_convertvector(read<Halves>(p), Words); }
  static void store_halves(Words words, std::uint16_t* p) {
    const Halves halves = __builtin_convertvector(words, Halves);
    __builtin_memcpy(p, &halves, sizeof halves);
  }

  static PortableVector load(const float* p) { return {read<Floats>(p)}; }
  static PortableVector load_bf16(const std::uint16_t* p) { return {reinterpret_cast<Floats>(words(p) << 16)}; }
  // Exponent and mantissa moved to fp32's places, then scaled by the difference of the biases, 2^112: that is right for
  // subnormals too. Infinities and NaNs get fp32's exponent.
  static PortableVector load_f16(const std::uint16_t* p) {
    const Words half = words(p);
    const Words size = (half & 0x7FFFU) << 13;
    const Words finite = reinterpret_cast<Words>(reinterpret_cast<Floats>(size) * 0x1p112F);
    const Words special = size | 0x7F800000U;
    const Words bits = size >= (0x7C00U << 13) ? special : finite;
    return {reinterpret_cast<Floats>(bits | (half & 0x8000U) << 16)};
  }
  static PortableVector set(float x) { return {Floats{x, x, x, x}}; }
  void store(float* p) const { __builtin_memcpy(p, &v, sizeof v); }
  void store_bf16(std::uint16_t* p) const {
    const Words bits = reinterpret_cast<Words>(v);
    const Words rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    const Words nan = Words{} + 0x7FC0U;
    store_halves(v == v ? rounded : nan, p);
  }
  float sum() const { return (v[0] + v[2]) + (v[1] + v[3]); }
  float highest() const {
    const float a = v[2] > v[0] ? v[2] : v[0], b = v[3] > v[1] ? v[3] : v[1];
    return b > a ? b : a;
  }
  static PortableVector max(PortableVector a, PortableVector b) { return {b.v > a.v ? b.v : a.v}; }
  PortableVector reciprocal() const { return {1.0F / v}; }
  // exp by 2^n * exp(r), |r| <= ln 2 / 2, with Cephes' polynomial: within 2 units in the last place.
  PortableVector exp() const {
    const Floats low = Floats{} - 87.0F, high = Floats{} + 88.0F;
    const Floats above = v > low ? v : low;
    const Floats x = above < high ? above : high;
    constexpr float kRound = 0x1.8p23F;  // added and taken away: the nearest whole number
    const Floats n = (x * 1.44269504088896341F + kRound) - kRound;
    Floats r = x - n * 0.693359375F;
    r = r - n * -2.12194440e-4F;
    Floats p = Floats{} + 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    const Floats y = p * (r * r) + r + 1.0F;
    const Words exponent = (reinterpret_cast<Words>(n + (kRound + 127.0F)) << 23);
    const Floats result = y * reinterpret_cast<Floats>(exponent);
    return {v == v ? result : v};
  }

  friend PortableVector operator+(PortableVector a, PortableVector b) { return {a.v + b.v}; }
  friend PortableVector operator-(PortableVector a, PortableVector b) { return {a.v - b.v}; }
  friend PortableVector operator*(PortableVector a, PortableVector b) { return {a.v * b.v}; }
  friend PortableVector operator/(PortableVector a, PortableVector b) { return {a.v / b.v}; }
  static PortableVector fma(PortableVector a, PortableVector b, PortableVector c) { return {a.v * b.v + c.v}; }
};

}  // namespace
}  // namespace striate
