// Attention in bf16 products of panels, forward and backward, over what multiplies them: AMX tiles (amx_panels.h) or
// AVX512-BF16 (bf16_panels.h). Included by the files of those instruction sets alone.
//
// A panel is kPanel by kPanel, 16 or 32, whichever suits the products: small panels waste less work above the diagonal
// and beyond a sample's end. The right side of a product lies in pairs of rows: word (k / 2, n) holds elements (k, n)
// and (k + 1, n). The backward pass works on transposed scores, [keys, queries], because then every product but one
// reads its left side as rows and the last gives the queries' gradient transposed.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "striate/tensor/kernels/attention_bodies.h"
#include "striate/tensor/kernels/avx512_vector.h"
#include "striate/tensor/kernels/kernel_table.h"

namespace striate {
namespace {

constexpr std::int64_t kHeadStep = 32;  // a head's width is a multiple of it

template <std::int64_t kPanel>
std::int64_t panels(std::int64_t n) {
  return (n + kPanel - 1) / kPanel * kPanel;
}

// c[kPanel, kPanel] (+)= a[kPanel, depth] b[depth, kPanel]: a in bf16 rows of a_row elements, b in words of pairs with
// b_row words a row of pairs, c in fp32 rows of c_row; depth a multiple of kPanel.
struct PanelProduct {
  const std::uint16_t* a;
  std::int64_t a_row;
  const std::uint32_t* b;
  std::int64_t b_row;
  float* c;
  std::int64_t c_row;
  std::int64_t depth;
  bool accumulate;
};

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

// One row of scores against the keys the query sees: bf16 weights relative to the highest, zeros elsewhere up to
// `keys`.
inline SoftmaxRow panel_softmax_row(const float* scores, std::uint16_t* weights, const KeyRange& range,
                                    std::int64_t keys, float scale) {
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

template <typename Engine>
void panel_attention_forward(const AttentionHead& job) {
  constexpr std::int64_t kPanel = Engine::kPanel;
  const std::int64_t tokens = job.tokens, dim = job.dim;
  const std::int64_t padded = panels<kPanel>(tokens), queries = panels<kPanel>(job.queries);
  AttentionRoom room(job);
  auto* rows = room.take<std::uint16_t>(padded * dim);
  auto* keys = room.take<std::uint32_t>(padded * dim / 2);
  auto* values = room.take<std::uint32_t>(padded * dim / 2);
  auto* scores = room.take<float>(kPanel * padded);
  auto* weights = room.take<std::uint16_t>(kPanel * padded);
  auto* out = room.take<float>(kPanel * dim);
  const typename Engine::Scope scope;
  gather_rows(static_cast<const std::uint16_t*>(job.k), job.k_stride, rows, tokens, padded, dim);
  pair_columns(rows, keys, padded, dim);
  gather_rows(static_cast<const std::uint16_t*>(job.v), job.v_stride, rows, tokens, padded, dim);
  pair_rows(rows, values, padded, dim);
  for (std::int64_t h = 0; h < job.group; ++h) {
    const auto* q = static_cast<const std::uint16_t*>(job.q) + h * job.q_head_stride;
    auto* y = static_cast<std::uint16_t*>(job.out) + h * dim;
    gather_rows(q, job.q_stride, rows, job.queries, queries, dim);
    for (std::int64_t first = 0; first < job.queries; first += kPanel) {
      const std::int64_t last = first + kPanel < job.queries ? first + kPanel : job.queries;
      const std::int64_t lowest = first_key(job, place_of(job, first)) / kPanel * kPanel;
      const std::int64_t seen =
          panels<kPanel>(place_of(job, last - 1) + 1) - lowest;  // keys of the panels that any of them sees
      for (std::int64_t k = 0; k < seen; k += kPanel) {
        Engine::multiply({rows + first * dim, dim, keys + lowest + k, padded, scores + k, padded, dim, false});
      }
      float factors[kPanel];
      for (std::int64_t r = 0; r < kPanel; ++r) {
        const std::int64_t i = first + r < last ? first + r : last - 1;  // rows beyond the queries repeat the last one
        const SoftmaxRow row = panel_softmax_row(scores + (i - first) * padded, weights + r * padded,
                                                 key_range(job, lowest, place_of(job, i)), seen, job.scale);
        factors[r] = 1.0F / row.total;
        job.log_sums[h * job.log_sum_stride + i] = row.highest * job.scale + __builtin_logf(row.total);
      }
      for (std::int64_t i = 0; i < dim; i += kPanel) {
        Engine::multiply({weights, padded, values + lowest / 2 * dim + i, dim, out + i, dim, seen, false});
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

// What the backward pass holds of one query head; `padded` counts queries.
struct QueryHead {
  std::int64_t padded;
  std::int32_t* places;      // [padded]; the last one repeated beyond the queries
  std::uint32_t* q_columns;  // pair_columns of q and of the output's gradient
  std::uint32_t* dy_columns;
  std::uint32_t* q_rows;  // pair_rows of the same
  std::uint32_t* dy_rows;
  float* log_sums;  // [padded]
  float* deltas;    // [padded]: the output times its gradient, summed
  float* dq_t;      // [dim, padded]
};

inline QueryHead take_query_head(const AttentionHead& job, std::int64_t padded, AttentionRoom& room) {
  const std::int64_t words = padded * job.dim / 2;
  const QueryHead head = {padded,
                          room.take<std::int32_t>(padded),
                          room.take<std::uint32_t>(words),
                          room.take<std::uint32_t>(words),
                          room.take<std::uint32_t>(words),
                          room.take<std::uint32_t>(words),
                          room.take<float>(padded),
                          room.take<float>(padded),
                          room.take<float>(padded * job.dim)};
  for (std::int64_t i = 0; i < padded; ++i) {
    head.places[i] = static_cast<std::int32_t>(place_of(job, i < job.queries ? i : job.queries - 1));
  }
  return head;
}

inline void fill_query_head(const AttentionHead& job, std::int64_t h, const QueryHead& head, std::uint16_t* rows) {
  const std::int64_t queries = job.queries, padded = head.padded, dim = job.dim;
  gather_rows(static_cast<const std::uint16_t*>(job.q) + h * job.q_head_stride, job.q_stride, rows, queries, padded,
              dim);
  pair_columns(rows, head.q_columns, padded, dim);
  pair_rows(rows, head.q_rows, padded, dim);
  gather_rows(static_cast<const std::uint16_t*>(job.dout) + h * dim, job.out_stride, rows, queries, padded, dim);
  pair_columns(rows, head.dy_columns, padded, dim);
  pair_rows(rows, head.dy_rows, padded, dim);
  const auto* out = static_cast<const std::uint16_t*>(job.forward_out) + h * dim;
  for (std::int64_t t = 0; t < padded; ++t) {
    Avx512Vector sum = Avx512Vector::set(0.0F);
    for (std::int64_t i = 0; t < queries && i < dim; i += 16) {
      sum = Avx512Vector::fma(Avx512Vector::load_bf16(out + t * job.out_stride + i),
                              Avx512Vector::load_bf16(rows + t * dim + i), sum);
    }
    head.deltas[t] = sum.sum();
    // Beyond the queries nothing weighs anything.
    head.log_sums[t] = t < queries ? job.forward_log_sums[h * job.log_sum_stride + t] : __builtin_inff();
  }
  for (std::int64_t i = 0; i < padded * dim; ++i) head.dq_t[i] = 0.0F;
}

// The panels of queries of which any sees a key of the panel at `key`: [begin, end), empty where none does.
struct QueryPanels {
  std::int64_t begin, end;
};

template <std::int64_t kPanel>
QueryPanels seeing_panels(const AttentionHead& job, const QueryHead& head, std::int64_t key) {
  QueryPanels range{0, head.padded};
  while (range.begin < range.end && head.places[range.begin + kPanel - 1] < key) range.begin += kPanel;
  if (job.window < 0) return range;
  while (range.begin < range.end && head.places[range.end - kPanel] > key + kPanel - 1 + job.window)
    range.end -= kPanel;
  return range;
}

// Which of sixteen queries at `places` see the key.
inline __mmask16 seeing_queries(const std::int32_t* places, std::int64_t key, std::int64_t window) {
  const __m512i q = _mm512_loadu_si512(places);
  const __mmask16 causal = _mm512_cmpge_epi32_mask(q, _mm512_set1_epi32(static_cast<int>(key)));
  if (window < 0) return causal;
  return causal & _mm512_cmple_epi32_mask(q, _mm512_set1_epi32(static_cast<int>(key + window)));
}

// A panel of transposed scores and of their gradients -> weights and score gradients, bf16 rows and, of the latter, in
// pairs of keys.
struct ScorePanel {
  const float* scores;     // [kPanel, kPanel]
  const float* gradients;  // [kPanel, kPanel]
  std::uint16_t* weights;  // [kPanel, row]
  std::uint16_t* dscores;
  std::int64_t row;
  std::uint32_t* pairs;  // [kPanel / 2, kPanel]
};

template <std::int64_t kPanel>
void finish_panel(const AttentionHead& job, const QueryHead& head, const ScorePanel& panel, std::int64_t key,
                  std::int64_t query) {
  using V = Avx512Vector;
  for (std::int64_t j = 0; j < kPanel; j += 2) {
    for (std::int64_t i = 0; i < kPanel; i += 16) {
      const V log_sums = V::load(head.log_sums + query + i);
      const V deltas = V::load(head.deltas + query + i);
      __m256i halves[2];
      for (std::int64_t k = 0; k < 2; ++k) {
        const std::int64_t at = (j + k) * kPanel + i;
        const __mmask16 seen = seeing_queries(head.places + query + i, key + j + k, job.window);
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

template <typename Engine>
void panel_attention_backward(const AttentionHead& job) {
  constexpr std::int64_t kPanel = Engine::kPanel;
  const std::int64_t tokens = job.tokens, dim = job.dim, padded = panels<kPanel>(tokens);
  AttentionRoom room(job);
  auto* rows = room.take<std::uint16_t>(padded * dim);
  auto* keys = room.take<std::uint16_t>(padded * dim);
  auto* values = room.take<std::uint16_t>(padded * dim);
  auto* keys_t = room.take<std::uint16_t>(padded * dim);
  auto* words = room.take<std::uint32_t>(padded * dim / 2);
  auto* dkeys = room.take<float>(padded * dim);
  auto* dvalues = room.take<float>(padded * dim);
  const QueryHead head = take_query_head(job, panels<kPanel>(job.queries), room);
  auto* scores = room.take<float>(kPanel * kPanel);
  auto* gradients = room.take<float>(kPanel * kPanel);
  auto* weights = room.take<std::uint16_t>(kPanel * head.padded);
  auto* dscores = room.take<std::uint16_t>(kPanel * head.padded);
  auto* pairs = room.take<std::uint32_t>(kPanel * kPanel / 2);
  const typename Engine::Scope scope;
  gather_rows(static_cast<const std::uint16_t*>(job.v), job.v_stride, values, tokens, padded, dim);
  gather_rows(static_cast<const std::uint16_t*>(job.k), job.k_stride, keys, tokens, padded, dim);
  pair_columns(keys, words, padded, dim);
  split_pairs(words, keys_t, padded, dim);
  for (std::int64_t h = 0; h < job.group; ++h) {
    fill_query_head(job, h, head, rows);
    for (std::int64_t key = 0; key < padded; key += kPanel) {
      const QueryPanels seeing = seeing_panels<kPanel>(job, head, key);
      for (std::int64_t query = seeing.begin; query < seeing.end; query += kPanel) {
        Engine::multiply({keys + key * dim, dim, head.q_columns + query, head.padded, scores, kPanel, dim, false});
        Engine::multiply(
            {values + key * dim, dim, head.dy_columns + query, head.padded, gradients, kPanel, dim, false});
        const std::int64_t column = query - seeing.begin;
        finish_panel<kPanel>(job, head, {scores, gradients, weights + column, dscores + column, head.padded, pairs},
                             key, query);
        for (std::int64_t i = 0; i < dim; i += kPanel) {
          Engine::multiply({keys_t + i * padded + key, padded, pairs, kPanel, head.dq_t + i * head.padded + query,
                            head.padded, kPanel, true});
        }
      }
      const std::int64_t depth = seeing.end - seeing.begin;
      for (std::int64_t i = 0; i < dim; i += kPanel) {
        Engine::multiply({weights, head.padded, head.dy_rows + seeing.begin / 2 * dim + i, dim, dvalues + key * dim + i,
                          dim, depth, h > 0});
        Engine::multiply({dscores, head.padded, head.q_rows + seeing.begin / 2 * dim + i, dim, dkeys + key * dim + i,
                          dim, depth, h > 0});
      }
    }
    store_transposed(head.dq_t, head.padded, static_cast<std::uint16_t*>(job.dq) + h * dim, job.out_stride, job.queries,
                     dim);
  }
  narrow_rows<Avx512Vector, BFloat16>(dkeys, dim, static_cast<std::uint16_t*>(job.dk), job.dk_stride, tokens, dim);
  narrow_rows<Avx512Vector, BFloat16>(dvalues, dim, static_cast<std::uint16_t*>(job.dv), job.dk_stride, tokens, dim);
}

// AVX512's table with attention on panels wherever they fit.
template <typename Engine>
struct PanelTable {
  static bool fits(const AttentionHead& job) { return job.storage == Storage::kBFloat16 && job.dim % kHeadStep == 0; }
  static void attend(const AttentionHead& job) {
    fits(job) ? panel_attention_forward<Engine>(job) : Table<Avx512Vector>::attend(job);
  }
  static void attend_backward(const AttentionHead& job) {
    fits(job) ? panel_attention_backward<Engine>(job) : Table<Avx512Vector>::attend_backward(job);
  }
  static constexpr CpuKernels make(CpuIsa isa, const char* name) {
    CpuKernels table = Table<Avx512Vector>::make(isa, name);
    table.attention_forward = attend;
    table.attention_backward = attend_backward;
    return table;
  }
};

}  // namespace
}  // namespace striate
