// Products of panels by AVX512-BF16's dot products of pairs. Included by avx512_bf16_kernels.cpp alone.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "striate/tensor/kernels/panel_attention.h"

namespace striate {
namespace {

struct Bf16Panels {
  static constexpr std::int64_t kPanel = 16;
  struct Scope {
    Scope() {}
  };

  // The whole of c stays in registers, a vector a row.
  static void multiply(const PanelProduct& job) {
    __m512 sums[kPanel];
    for (std::int64_t r = 0; r < kPanel; ++r) {
      sums[r] = job.accumulate ? _mm512_loadu_ps(job.c + r * job.c_row) : _mm512_setzero_ps();
    }
    const std::uint16_t* a = job.a;
    const std::uint32_t* b = job.b;
    for (std::int64_t k = 0; k < job.depth; k += 2, a += 2, b += job.b_row) {
      const auto right = (__m512bh)_mm512_loadu_si512(b);
      for (std::int64_t r = 0; r < kPanel; ++r) {
        int pair = 0;
        std::memcpy(&pair, a + r * job.a_row, sizeof(pair));
        sums[r] = _mm512_dpbf16_ps(sums[r], (__m512bh)_mm512_set1_epi32(pair), right);
      }
    }
    for (std::int64_t r = 0; r < kPanel; ++r) _mm512_storeu_ps(job.c + r * job.c_row, sums[r]);
  }
};

}  // namespace
}  // namespace striate
