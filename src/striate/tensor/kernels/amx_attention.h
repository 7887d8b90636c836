// Attention in bf16 on AMX tiles, forward and backward. Included by amx_kernels.cpp alone.
//
// A tile holds 16 rows of 64 bytes. tdpbf16ps adds a [16, 32] bf16 tile times a [32, 16] one, whose rows lie in pairs
// (word (k / 2, n) holds elements (k, n) and (k + 1, n)), to a [16, 16] fp32 tile. Everything is done in panels of 32:
// two by two tiles. The backward pass works on transposed scores, [keys, queries], because then every product but one
// reads its left side as rows and the last gives the queries' gradient transposed.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "striate/tensor/kernels/attention_bodies.h"
#include "striate/tensor/kernels/avx512_vector.h"

namespace striate {
namespace {

constexpr std::int64_t kPanel = 32;

inline std::int64_t panels(std::int64_t n) {
  return (n + kPanel - 1) / kPanel * kPanel;
}

// Tiles 0-3 accumulate, 4-5 hold the left side, 6-7 the right; all of 16 rows and 64 bytes.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Sets the tiles up, and puts back what another library had set.
class TileScope {
 public:
  TileScope() {
    _tile_storeconfig(&before_);
    const TileConfig mine;
    _tile_loadconfig(&mine);
  }
  ~TileScope() {
    if (before_.palette == 0) {
      _tile_release();
    } else {
      _tile_loadconfig(&before_);
    }
  }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

 private:
  TileConfig before_;
};

// c[32, 32] (+)= a[32, depth] b[depth, 32]: a in bf16 rows of a_row elements, b in words of pairs with b_row words a
// row of pairs, c in fp32 rows of c_row; depth a multiple of 32.
inline void panel_product(const std::uint16_t* a, std::int64_t a_row, const std::uint32_t* b, std::int64_t b_row,
                          float* c, std::int64_t c_row, std::int64_t depth, bool accumulate) {
  const auto a_bytes = static_cast<std::size_t>(a_row) * 2;
  const auto b_bytes = static_cast<std::size_t>(b_row) * 4;
  const auto c_bytes = static_cast<std::size_t>(c_row) * 4;
  if (accumulate) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + 16, c_bytes);
    _tile_loadd(2, c + 16 * c_row, c_bytes);
    _tile_loadd(3, c + 16 * c_row + 16, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::int64_t k = 0; k < depth; k += kPanel) {
    _tile_loadd(4, a + k, a_bytes);
    _tile_loadd(5, a + 16 * a_row + k, a_bytes);
    _tile_loadd(6, b + k / 2 * b_row, b_bytes);
    _tile_loadd(7, b + k / 2 * b_row + 16, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + 16, c_bytes);
  _tile_stored(2, c + 16 * c_row, c_bytes);
  _tile_stored(3, c + 16 * c_row + 16, c_bytes);
}

// [16, 16] words transposed, in registers.
inline void transpose_block(__m512i* rows) {
  __m512i t[16];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i) {
    rows[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    rows[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    rows[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    rows[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0xDD);
    t[8 + i] = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0x88);
    t[12 + i] = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0xDD);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
    rows[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xDD);
    rows[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
    rows[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xDD);
  }
}

// [rows, columns] words -> [columns, rows]; both multiples of 16.
inline void transpose_words(const std::uint32_t* from, std::int64_t from_row, std::uint32_t* to, std::int64_t to_row,
                            std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; r += 16) {
    for (std::int64_t c = 0; c < columns; c += 16) {
      __m512i block[16];
      for (int i = 0; i < 16; ++i) block[i] = _mm512_loadu_si512(from + (r + i) * from_row + c);
      transpose_block(block);
      for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + (c + i) * to_row + r, block[i]);
    }
  }
}

// Rows of one head as dense bf16 [padded, dim], zeros beyond `tokens`.
inline void gather_rows(const std::uint16_t* from, std::int64_t stride, std::uint16_t* to, std::int64_t tokens,
                        std::int64_t padded, std::int64_t dim) {
  for (std::int64_t t = 0; t < padded; ++t) {
    for (std::int64_t i = 0; i < dim; i += 32) {
      const __m512i row = t < tokens ? _mm512_loadu_si512(from + t * stride + i) : _mm512_setzero_si512();
      _mm512_storeu_si512(to + t * dim + i, row);
    }
  }
}

// Word (t / 2, i) of [padded / 2, dim] holds rows t and t + 1 at i: the right side of a product over tokens.
inline void pair_rows(const std::uint16_t* rows, std::uint32_t* to, std::int64_t padded, std::int64_t dim) {
  for (std::int64_t t = 0; t < padded; t += 2) {
    for (std::int64_t i = 0; i < dim; i += 16) {
      const auto load = [&](std::int64_t row) {
        return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows + row * dim + i)));
      };
      _mm512_storeu_si512(to + t / 2 * dim + i, _mm512_or_si512(load(t), _mm512_slli_epi32(load(t + 1), 16)));
    }
  }
}

// Word (i / 2, t) of [dim / 2, padded] holds row t at i and i + 1: the right side of a product over the head's width.
inline void pair_columns(const std::uint16_t* rows, std::uint32_t* to, std::int64_t padded, std::int64_t dim) {
  transpose_words(reinterpret_cast<const std::uint32_t*>(rows), dim / 2, to, padded, padded, dim / 2);
}

// [dim, padded] bf16 from the words of pair_columns.
inline void split_pairs(const std::uint32_t* words, std::uint16_t* to, std::int64_t padded, std::int64_t dim) {
  for (std::int64_t i = 0; i < dim; i += 2) {
    for (std::int64_t t = 0; t < padded; t += 16) {
      const __m512i pair = _mm512_loadu_si512(words + i / 2 * padded + t);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i * padded + t), _mm512_cvtepi32_epi16(pair));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (i + 1) * padded + t),
                          _mm512_cvtepi32_epi16(_mm512_srli_epi32(pair, 16)));
    }
  }
}

// Hands out parts of a job's room, each on a cache line.
class Room {
 public:
  explicit Room(float* work) : next_((reinterpret_cast<std::uintptr_t>(work) + 63) / 64 * 64) {}
  template <typename T>
  T* take(std::int64_t count) {
    T* part = reinterpret_cast<T*>(next_);
    next_ += (static_cast<std::uintptr_t>(count) * sizeof(T) + 63) / 64 * 64;
    return part;
  }

 private:
  std::uintptr_t next_;
};

// One row of scores against the keys the query sees: bf16 weights relative to the highest, zeros elsewhere up to
// `keys`.
inline SoftmaxRow amx_softmax_row(const float* scores, std::uint16_t* weights, const KeyRange& range, std::int64_t keys,
                                  float scale) {
  using V = Avx512Vector;
  const auto visible = [&](std::int64_t k) -> __mmask16 {
    const std::int64_t low = range.low - k, high = range.high - k;
    const unsigned below = high >= 16 ? 0xFFFFU : high <= 0 ? 0U : (1U << high) - 1U;
    const unsigned from = low <= 0 ? 0xFFFFU : low >= 16 ? 0U : ~((1U << low) - 1U);
    return static_cast<__mmask16>(below & from);
  };
  const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
  __m512 highest_of = lowest;
  for (std::int64_t k = 0; k < keys; k += 16) {
    highest_of = _mm512_max_ps(highest_of, _mm512_mask_loadu_ps(lowest, visible(k), scores + k));
  }
  const float highest = _mm512_reduce_max_ps(highest_of);
  __m512 total = _mm512_setzero_ps();
  for (std::int64_t k = 0; k < keys; k += 16) {
    const V weight = ((V::load(scores + k) - V::set(highest)) * V::set(scale)).exp();
    const V kept{_mm512_maskz_mov_ps(visible(k), weight.v)};
    total = _mm512_add_ps(total, kept.v);
    kept.store_bf16(weights + k);
  }
  return {highest, _mm512_reduce_add_ps(total)};
}

inline void amx_attention_forward(const AttentionHead& job) {
  const std::int64_t tokens = job.tokens, dim = job.dim, padded = panels(tokens);
  Room room(job.work);
  auto* rows = room.take<std::uint16_t>(padded * dim);
  auto* keys = room.take<std::uint32_t>(padded * dim / 2);
  auto* values = room.take<std::uint32_t>(padded * dim / 2);
  auto* scores = room.take<float>(kPanel * padded);
  auto* weights = room.take<std::uint16_t>(kPanel * padded);
  auto* out = room.take<float>(kPanel * dim);
  const TileScope tiles;
  gather_rows(static_cast<const std::uint16_t*>(job.k), job.k_stride, rows, tokens, padded, dim);
  pair_columns(rows, keys, padded, dim);
  gather_rows(static_cast<const std::uint16_t*>(job.v), job.v_stride, rows, tokens, padded, dim);
  pair_rows(rows, values, padded, dim);
  for (std::int64_t h = 0; h < job.group; ++h) {
    const auto* q = static_cast<const std::uint16_t*>(job.q) + h * job.q_head_stride;
    auto* y = static_cast<std::uint16_t*>(job.out) + h * dim;
    gather_rows(q, job.q_stride, rows, tokens, padded, dim);
    for (std::int64_t first = 0; first < tokens; first += kPanel) {
      const std::int64_t last = first + kPanel < tokens ? first + kPanel : tokens;
      const std::int64_t lowest = job.window >= 0 && first > job.window ? (first - job.window) / kPanel * kPanel : 0;
      const std::int64_t seen = first + kPanel - lowest;  // keys of the panels that any of these queries sees
      for (std::int64_t k = 0; k < seen; k += kPanel) {
        panel_product(rows + first * dim, dim, keys + lowest + k, padded, scores + k, padded, dim, false);
      }
      float factors[kPanel];
      for (std::int64_t r = 0; r < kPanel; ++r) {
        const std::int64_t i = first + r < last ? first + r : last - 1;  // rows beyond the sample repeat the last one
        const std::int64_t low = job.window >= 0 && i > job.window ? i - job.window : 0;
        const KeyRange range{low > lowest ? low - lowest : 0, i + 1 - lowest};
        const SoftmaxRow row =
            amx_softmax_row(scores + (i - first) * padded, weights + r * padded, range, seen, job.scale);
        factors[r] = 1.0F / row.total;
        job.log_sums[h * job.log_sum_stride + i] = row.highest * job.scale + __builtin_logf(row.total);
      }
      for (std::int64_t i = 0; i < dim; i += kPanel) {
        panel_product(weights, padded, values + lowest / 2 * dim + i, dim, out + i, dim, seen, false);
      }
      for (std::int64_t r = 0; r < last - first; ++r) {
        for (std::int64_t i = 0; i < dim; i += 16) {
          (Avx512Vector::load(out + r * dim + i) * Avx512Vector::set(factors[r]))
              .store_bf16(y + (first + r) * job.out_stride + i);
        }
      }
    }
  }
}

// What the backward pass holds of one query head.
struct QueryHead {
  std::uint32_t* q_columns;  // pair_columns of q and of the output's gradient
  std::uint32_t* dy_columns;
  std::uint32_t* q_rows;  // pair_rows of the same
  std::uint32_t* dy_rows;
  float* log_sums;  // [padded]
  float* deltas;    // [padded]: the output times its gradient, summed
  float* dq_t;      // [dim, padded]
};

inline QueryHead take_query_head(Room& room, std::int64_t padded, std::int64_t dim) {
  const std::int64_t words = padded * dim / 2;
  return {room.take<std::uint32_t>(words), room.take<std::uint32_t>(words), room.take<std::uint32_t>(words),
          room.take<std::uint32_t>(words), room.take<float>(padded),        room.take<float>(padded),
          room.take<float>(padded * dim)};
}

inline void fill_query_head(const AttentionHead& job, std::int64_t h, const QueryHead& head, std::uint16_t* rows,
                            std::int64_t padded) {
  const std::int64_t tokens = job.tokens, dim = job.dim;
  gather_rows(static_cast<const std::uint16_t*>(job.q) + h * job.q_head_stride, job.q_stride, rows, tokens, padded,
              dim);
  pair_columns(rows, head.q_columns, padded, dim);
  pair_rows(rows, head.q_rows, padded, dim);
  gather_rows(static_cast<const std::uint16_t*>(job.dout) + h * dim, job.out_stride, rows, tokens, padded, dim);
  pair_columns(rows, head.dy_columns, padded, dim);
  pair_rows(rows, head.dy_rows, padded, dim);
  const auto* out = static_cast<const std::uint16_t*>(job.out) + h * dim;
  for (std::int64_t t = 0; t < padded; ++t) {
    Avx512Vector sum = Avx512Vector::set(0.0F);
    for (std::int64_t i = 0; t < tokens && i < dim; i += 16) {
      sum = Avx512Vector::fma(Avx512Vector::load_bf16(out + t * job.out_stride + i),
                              Avx512Vector::load_bf16(rows + t * dim + i), sum);
    }
    head.deltas[t] = sum.sum();
    // Queries beyond the sample weigh nothing.
    head.log_sums[t] = t < tokens ? job.log_sums[h * job.log_sum_stride + t] : __builtin_inff();
  }
  for (std::int64_t i = 0; i < padded * dim; ++i) head.dq_t[i] = 0.0F;
}

// The queries that see key j: [j, last].
inline __mmask16 seeing_queries(std::int64_t key, std::int64_t query, std::int64_t window) {
  const __m512i q = _mm512_add_epi32(_mm512_set1_epi32(static_cast<int>(query)),
                                     _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const __mmask16 causal = _mm512_cmpge_epi32_mask(q, _mm512_set1_epi32(static_cast<int>(key)));
  if (window < 0) return causal;
  return causal & _mm512_cmple_epi32_mask(q, _mm512_set1_epi32(static_cast<int>(key + window)));
}

// A panel of transposed scores and of their gradients -> weights and score gradients, bf16 rows and, of the latter, in
// pairs of keys.
struct ScorePanel {
  const float* scores;     // [32, 32]
  const float* gradients;  // [32, 32]
  std::uint16_t* weights;  // [32, row]
  std::uint16_t* dscores;
  std::int64_t row;
  std::uint32_t* pairs;  // [16, 32]
};

inline void finish_panel(const AttentionHead& job, const QueryHead& head, const ScorePanel& panel, std::int64_t key,
                         std::int64_t query) {
  using V = Avx512Vector;
  for (std::int64_t j = 0; j < kPanel; j += 2) {
    for (std::int64_t i = 0; i < kPanel; i += 16) {
      const V log_sums = V::load(head.log_sums + query + i);
      const V deltas = V::load(head.deltas + query + i);
      __m256i halves[2];
      for (std::int64_t k = 0; k < 2; ++k) {
        const std::int64_t at = (j + k) * kPanel + i;
        const __mmask16 seen = seeing_queries(key + j + k, query + i, job.window);
        const V raw = (V::load(panel.scores + at) * V::set(job.scale) - log_sums).exp();
        const V p{_mm512_maskz_mov_ps(seen, raw.v)};
        const V ds = p * (V::load(panel.gradients + at) - deltas) * V::set(job.scale);
        p.store_bf16(panel.weights + (j + k) * panel.row + i);
        halves[k] = (__m256i)_mm512_cvtneps_pbh(ds.v);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(panel.dscores + (j + k) * panel.row + i), halves[k]);
      }
      const __m512i low = _mm512_cvtepu16_epi32(halves[0]);
      const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(halves[1]), 16);
      _mm512_storeu_si512(panel.pairs + j / 2 * kPanel + i, _mm512_or_si512(low, high));
    }
  }
}

inline void store_transposed(const float* from, std::int64_t padded, std::uint16_t* to, std::int64_t stride,
                             std::int64_t tokens, std::int64_t dim) {
  for (std::int64_t t = 0; t < tokens; t += 16) {
    for (std::int64_t i = 0; i < dim; i += 16) {
      __m512i block[16];
      for (int k = 0; k < 16; ++k) block[k] = _mm512_loadu_si512(from + (i + k) * padded + t);
      transpose_block(block);
      for (int k = 0; k < 16 && t + k < tokens; ++k) {
        Avx512Vector{_mm512_castsi512_ps(block[k])}.store_bf16(to + (t + k) * stride + i);
      }
    }
  }
}

inline void amx_attention_backward(const AttentionHead& job) {
  const std::int64_t tokens = job.tokens, dim = job.dim, padded = panels(tokens);
  Room room(job.work);
  auto* rows = room.take<std::uint16_t>(padded * dim);
  auto* keys = room.take<std::uint16_t>(padded * dim);
  auto* values = room.take<std::uint16_t>(padded * dim);
  auto* keys_t = room.take<std::uint16_t>(padded * dim);
  auto* words = room.take<std::uint32_t>(padded * dim / 2);
  auto* dkeys = room.take<float>(padded * dim);
  auto* dvalues = room.take<float>(padded * dim);
  const QueryHead head = take_query_head(room, padded, dim);
  auto* scores = room.take<float>(kPanel * kPanel);
  auto* gradients = room.take<float>(kPanel * kPanel);
  auto* weights = room.take<std::uint16_t>(kPanel * padded);
  auto* dscores = room.take<std::uint16_t>(kPanel * padded);
  auto* pairs = room.take<std::uint32_t>(kPanel * kPanel / 2);
  const TileScope tiles;
  gather_rows(static_cast<const std::uint16_t*>(job.v), job.v_stride, values, tokens, padded, dim);
  gather_rows(static_cast<const std::uint16_t*>(job.k), job.k_stride, keys, tokens, padded, dim);
  pair_columns(keys, words, padded, dim);
  split_pairs(words, keys_t, padded, dim);
  for (std::int64_t h = 0; h < job.group; ++h) {
    fill_query_head(job, h, head, rows, padded);
    for (std::int64_t key = 0; key < padded; key += kPanel) {
      const std::int64_t end =
          job.window >= 0 && panels(key + kPanel + job.window) < padded ? panels(key + kPanel + job.window) : padded;
      for (std::int64_t query = key; query < end; query += kPanel) {
        panel_product(keys + key * dim, dim, head.q_columns + query, padded, scores, kPanel, dim, false);
        panel_product(values + key * dim, dim, head.dy_columns + query, padded, gradients, kPanel, dim, false);
        finish_panel(job, head, {scores, gradients, weights + query - key, dscores + query - key, padded, pairs}, key,
                     query);
        for (std::int64_t i = 0; i < dim; i += kPanel) {
          panel_product(keys_t + i * padded + key, padded, pairs, kPanel, head.dq_t + i * padded + query, padded,
                        kPanel, true);
        }
      }
      for (std::int64_t i = 0; i < dim; i += kPanel) {
        panel_product(weights, padded, head.dy_rows + key / 2 * dim + i, dim, dvalues + key * dim + i, dim, end - key,
                      h > 0);
        panel_product(dscores, padded, head.q_rows + key / 2 * dim + i, dim, dkeys + key * dim + i, dim, end - key,
                      h > 0);
      }
    }
    store_transposed(head.dq_t, padded, static_cast<std::uint16_t*>(job.dq) + h * dim, job.out_stride, tokens, dim);
  }
  narrow_rows<Avx512Vector, BFloat16>(dkeys, dim, static_cast<std::uint16_t*>(job.dk), job.dk_stride, tokens, dim);
  narrow_rows<Avx512Vector, BFloat16>(dvalues, dim, static_cast<std::uint16_t*>(job.dv), job.dk_stride, tokens, dim);
}

}  // namespace
}  // namespace striate
