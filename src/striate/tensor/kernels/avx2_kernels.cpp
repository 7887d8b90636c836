// Compiled with -mavx2 -mfma -mf16c; called only where the CPU has all three.
#include <immintrin.h>

#include <initializer_list>

#include "striate/tensor/kernels/kernel_table.h"

namespace striate {
namespace {

struct Avx2Vector {
  static constexpr std::int64_t kWidth = 8;
  static constexpr int kRegisters = 16;
  __m256 v;

  static Avx2Vector load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Avx2Vector load_bf16(const std::uint16_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
  }
  static Avx2Vector load_f16(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static Avx2Vector set(float x) { return {_mm256_set1_ps(x)}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store_bf16(std::uint16_t* p) const {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    rounded = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7FC00000), nan);
    const __m256i high = _mm256_srli_epi32(rounded, 16);
    const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
  }
  float sum() const {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
  }
  float highest() const {
    const __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)));
  }
  static Avx2Vector max(Avx2Vector a, Avx2Vector b) { return {_mm256_max_ps(a.v, b.v)}; }
  Avx2Vector reciprocal() const { return {_mm256_div_ps(_mm256_set1_ps(1.0F), v)}; }
  // exp by 2^n * exp(r), |r| <= ln 2 / 2, with Cephes' polynomial: within 2 units in the last place.
  Avx2Vector exp() const {
    const __m256 x = _mm256_min_ps(_mm256_set1_ps(88.0F), _mm256_max_ps(_mm256_set1_ps(-87.0F), v));
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504088896341F)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375F), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4F), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4F);
    for (const float c : {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F}) {
      p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(c));
    }
    const __m256 y = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0F));
    const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    // min and max drop a NaN of their second operand's: the sum brings it back.
    return {_mm256_blendv_ps(_mm256_mul_ps(y, _mm256_castsi256_ps(exponent)), v, _mm256_cmp_ps(v, v, _CMP_UNORD_Q))};
  }

  friend Avx2Vector operator+(Avx2Vector a, Avx2Vector b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend Avx2Vector operator-(Avx2Vector a, Avx2Vector b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend Avx2Vector operator*(Avx2Vector a, Avx2Vector b) { return {_mm256_mul_ps(a.v, b.v)}; }
  friend Avx2Vector operator/(Avx2Vector a, Avx2Vector b) { return {_mm256_div_ps(a.v, b.v)}; }
  static Avx2Vector fma(Avx2Vector a, Avx2Vector b, Avx2Vector c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
};

}  // namespace

const CpuKernels& avx2_kernels() {
  static constexpr CpuKernels kTable = Table<Avx2Vector>::make(CpuIsa::kAvx2, "AVX2");
  return kTable;
}

}  // namespace striate
