// Sixteen fp32 lanes. Included only by files compiled for AVX512.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <initializer_list>

namespace striate {
namespace {

struct Avx512Vector {
  static constexpr std::int64_t kWidth = 16;
  static constexpr int kRegisters = 32;
  __m512 v;

  static Avx512Vector load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Avx512Vector load_bf16(const std::uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  static Avx512Vector load_f16(const std::uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Avx512Vector set(float x) { return {_mm512_set1_ps(x)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_bf16(std::uint16_t* p) const {
#ifdef __AVX512BF16__
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v));
#else
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), _mm512_set1_epi32(0x7FC00000));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
#endif
  }
  float sum() const {
    return _mm512_reduce_add_ps(v);
  }
  float highest() const {
    return _mm512_reduce_max_ps(v);
  }
  static Avx512Vector max(Avx512Vector a, Avx512Vector b) {
    return {_mm512_max_ps(a.v, b.v)};
  }
  // 1 / x to within 2 units in the last place; 0 for the largest x.
  Avx512Vector reciprocal() const {
    const __m512 guess = _mm512_rcp14_ps(v);
    return {_mm512_mul_ps(guess, _mm512_fnmadd_ps(v, guess, _mm512_set1_ps(2.0F)))};
  }
  // exp by 2^n * exp(r), |r| <= ln 2 / 2, with Cephes' polynomial: within 2 units in the last place.
  Avx512Vector exp() const {
    const __m512 x = _mm512_min_ps(_mm512_set1_ps(88.0F), _mm512_max_ps(_mm512_set1_ps(-87.0F), v));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341F)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4F);
    for (const float c : {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F}) {
      p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
    }
    const __m512 y = _mm512_add_ps(_mm512_fmadd_ps(p, _mm512_mul_ps(r, r), r), _mm512_set1_ps(1.0F));
    // min and max drop a NaN: the mask brings it back.
    return {_mm512_mask_mov_ps(_mm512_scalef_ps(y, n), _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), v)};
  }

  friend Avx512Vector operator+(Avx512Vector a, Avx512Vector b) {
    return {_mm512_add_ps(a.v, b.v)};
  }
  friend Avx512Vector operator-(Avx512Vector a, Avx512Vector b) {
    return {_mm512_sub_ps(a.v, b.v)};
  }
  friend Avx512Vector operator*(Avx512Vector a, Avx512Vector b) {
    return {_mm512_mul_ps(a.v, b.v)};
  }
  friend Avx512Vector operator/(Avx512Vector a, Avx512Vector b) {
    return {_mm512_div_ps(a.v, b.v)};
  }
  static Avx512Vector fma(Avx512Vector a, Avx512Vector b, Avx512Vector c) {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
  }
};

}  // namespace
}  // namespace striate
