// Attention of one sample and one key-value head, forward and backward, over a vector type V; see kernel_bodies.h.
//
// Everything is widened to fp32 tiles that stay in the core's own cache: queries go in blocks against the keys they can
// see, probabilities are made again in the backward pass from the kept log-sum (Dao et al., arXiv 2205.14135).
#pragma once

#include "striate/tensor/kernels/kernel_bodies.h"

namespace striate {
namespace {

// Hands out parts of a job's room, each on a cache line, and no more than there is.
class AttentionRoom {
 public:
  explicit AttentionRoom(const AttentionHead& job)
      : next_(reinterpret_cast<char*>(job.work)), end_(next_ + job.work_floats * kFloat) {}
  // `count` elements of T, aligned to 64 bytes.
  template <typename T>
  T* take(std::int64_t count) {
    const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(next_) % kLine);
    const std::int64_t bytes = (past == 0 ? 0 : kLine - past) + count * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t there = end_ - next_;
    if (bytes > there) attention_room_too_small(bytes, there);
    next_ += bytes;
    return reinterpret_cast<T*>(next_ - count * static_cast<std::int64_t>(sizeof(T)));
  }

 private:
  static constexpr std::int64_t kLine = 64, kFloat = sizeof(float);
  char* next_;
  char* end_;
};

// c[m, n] (+)= sum_k a[m * a_row + k * a_column] * b[k, n] for kRows rows and kVectors vectors of columns.
struct TileProduct {
  const float* a;
  std::int64_t a_row, a_column;
  const float* b;
  std::int64_t b_row;
  float* c;
  std::int64_t c_row;
  std::int64_t rows, columns, depth;  // columns: a multiple of the vector's width
  bool accumulate;
};

template <typename V, int kRows, int kVectors>
void tile_block(const TileProduct& job, std::int64_t row, std::int64_t column) {
  V sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kVectors; ++j) {
      const float* c = job.c + (row + r) * job.c_row + column + j * V::kWidth;
      sums[r][j] = job.accumulate ? V::load(c) : V::set(0.0F);
    }
  }
  const float* a = job.a + row * job.a_row;
  const float* b = job.b + column;
  for (std::int64_t k = 0; k < job.depth; ++k, a += job.a_column, b += job.b_row) {
    V columns[kVectors];
    for (int j = 0; j < kVectors; ++j) columns[j] = V::load(b + j * V::kWidth);
    for (int r = 0; r < kRows; ++r) {
      const V factor = V::set(a[r * job.a_row]);
      for (int j = 0; j < kVectors; ++j) sums[r][j] = V::fma(factor, columns[j], sums[r][j]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kVectors; ++j) sums[r][j].store(job.c + (row + r) * job.c_row + column + j * V::kWidth);
  }
}

template <typename V, int kVectors>
void tile_columns(const TileProduct& job, std::int64_t column) {
  constexpr int kRows = V::kRegisters >= 32 ? 12 : 6;
  std::int64_t row = 0;
  for (; row + kRows <= job.rows; row += kRows) tile_block<V, kRows, kVectors>(job, row, column);
  for (; row + 4 <= job.rows; row += 4) tile_block<V, 4, kVectors>(job, row, column);
  for (; row < job.rows; ++row) tile_block<V, 1, kVectors>(job, row, column);
}

template <typename V>
void tile_product(const TileProduct& job) {
  std::int64_t column = 0;
  for (; column + 2 * V::kWidth <= job.columns; column += 2 * V::kWidth) tile_columns<V, 2>(job, column);
  for (; column + V::kWidth <= job.columns; column += V::kWidth) tile_columns<V, 1>(job, column);
}

template <typename V>
float sum_products(const float* a, const float* b, std::int64_t count) {
  V sums = V::set(0.0F);
  for (std::int64_t i = 0; i < count; i += V::kWidth) sums = V::fma(V::load(a + i), V::load(b + i), sums);
  return sums.sum();
}

// Rows of `rows` tokens as fp32 [rows, padded] with zeros beyond `dim`.
template <typename V, typename S>
void widen_rows(const typename S::Type* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t dim,
                std::int64_t padded) {
  for (std::int64_t t = 0; t < rows; ++t) {
    for_vectors<V>(dim, [&](auto tag, std::int64_t i) {
      S::template load<decltype(tag)>(from + t * stride + i).store(to + t * padded + i);
    });
    for (std::int64_t i = dim; i < padded; ++i) to[t * padded + i] = 0.0F;
  }
}

// fp32 rows of a head: where they are, or where they were copied to.
struct Rows {
  const float* at;
  std::int64_t stride;
};

// fp32 rows whose width is whole vectors are read where they lie; others are widened into `room`, [rows, padded].
template <typename V, typename S>
Rows rows_of(const typename S::Type* from, std::int64_t stride, float* room, std::int64_t rows, std::int64_t dim,
             std::int64_t padded) {
  if constexpr (sizeof(typename S::Type) == sizeof(float)) {
    if (dim == padded) return {from, stride};
  }
  widen_rows<V, S>(from, stride, room, rows, dim, padded);
  return {room, padded};
}

template <typename V, typename S>
void narrow_rows(const float* from, std::int64_t padded, typename S::Type* to, std::int64_t stride, std::int64_t rows,
                 std::int64_t dim) {
  for (std::int64_t t = 0; t < rows; ++t) {
    for_vectors<V>(dim, [&](auto tag, std::int64_t i) {
      S::store(decltype(tag)::load(from + t * padded + i), to + t * stride + i);
    });
  }
}

// [rows, dim] -> [dim, columns], zeros in the columns beyond `rows`.
inline void transpose_rows(const Rows& from, float* to, std::int64_t columns, std::int64_t rows, std::int64_t dim) {
  for (std::int64_t i = 0; i < dim; ++i) {
    for (std::int64_t t = 0; t < rows; ++t) to[i * columns + t] = from.at[t * from.stride + i];
    for (std::int64_t t = rows; t < columns; ++t) to[i * columns + t] = 0.0F;
  }
}

inline std::int64_t place_of(const AttentionHead& job, std::int64_t query) {
  return job.places == nullptr ? query : job.places[query];
}

// The first key that a query at `place` sees.
inline std::int64_t first_key(const AttentionHead& job, std::int64_t place) {
  return job.window >= 0 && place > job.window ? place - job.window : 0;
}

// A block of queries and the keys any of them sees.
struct QueryBlock {
  std::int64_t first, last;  // queries
  std::int64_t key_first;    // a multiple of kAttentionPad
  std::int64_t seen;         // keys from there on
  std::int64_t keys;         // the same, rounded up to a multiple of kAttentionPad
};

inline QueryBlock query_block(const AttentionHead& job, std::int64_t first) {
  QueryBlock block{};
  block.first = first;
  block.last = first + kAttentionQueries < job.queries ? first + kAttentionQueries : job.queries;
  block.key_first = first_key(job, place_of(job, first)) / kAttentionPad * kAttentionPad;
  block.seen = place_of(job, block.last - 1) + 1 - block.key_first;
  block.keys = (block.seen + kAttentionPad - 1) / kAttentionPad * kAttentionPad;
  return block;
}

// The keys a query at `place` sees: [low, high) relative to `key_first`.
struct KeyRange {
  std::int64_t low, high;
};

inline KeyRange key_range(const AttentionHead& job, std::int64_t key_first, std::int64_t place) {
  const std::int64_t lowest = first_key(job, place);
  return {lowest > key_first ? lowest - key_first : 0, place + 1 - key_first};
}

// Scores to unnormalised probabilities, zero outside the range; returns {the highest score, their sum}.
struct SoftmaxRow {
  float highest, total;
};

template <typename V>
SoftmaxRow softmax_row(float* scores, const KeyRange& range, std::int64_t keys, float scale) {
  float* visible = scores + range.low;
  const std::int64_t count = range.high - range.low;
  V highest_of = V::set(-__builtin_inff());
  std::int64_t i = 0;
  for (; i + V::kWidth <= count; i += V::kWidth) highest_of = V::max(highest_of, V::load(visible + i));
  float highest = highest_of.highest();
  for (; i < count; ++i) highest = visible[i] > highest ? visible[i] : highest;
  const float total = [&] {
    V sums = V::set(0.0F);
    std::int64_t k = 0;
    for (; k + V::kWidth <= count; k += V::kWidth) {
      const V weight = ((V::load(visible + k) - V::set(highest)) * V::set(scale)).exp();
      weight.store(visible + k);
      sums = sums + weight;
    }
    float sum = sums.sum();
    for (; k < count; ++k) {
      visible[k] = __builtin_expf((visible[k] - highest) * scale);
      sum += visible[k];
    }
    return sum;
  }();
  for (std::int64_t k = 0; k < range.low; ++k) scores[k] = 0.0F;
  for (std::int64_t k = range.high; k < keys; ++k) scores[k] = 0.0F;
  return {highest, total};
}

template <typename V, typename S>
void attention_forward(const AttentionHead& job) {
  using T = typename S::Type;
  const std::int64_t padded = attention_padded(job.dim);
  const std::int64_t columns = attention_padded(job.tokens);
  AttentionRoom room(job);
  auto* key_room = room.take<float>(columns * padded);              // [tokens, padded]
  auto* value_room = room.take<float>(columns * padded);            // [tokens, padded]
  auto* keys_t = room.take<float>(padded * columns);                // [dim, columns]
  auto* query_room = room.take<float>(kAttentionQueries * padded);  // [block, padded]
  auto* out = room.take<float>(kAttentionQueries * padded);         // [block, padded]
  auto* scores = room.take<float>(kAttentionQueries * columns);     // [block, columns]
  const Rows keys = rows_of<V, S>(static_cast<const T*>(job.k), job.k_stride, key_room, job.tokens, job.dim, padded);
  const Rows values =
      rows_of<V, S>(static_cast<const T*>(job.v), job.v_stride, value_room, job.tokens, job.dim, padded);
  transpose_rows(keys, keys_t, columns, job.tokens, job.dim);
  for (std::int64_t h = 0; h < job.group; ++h) {
    const T* q = static_cast<const T*>(job.q) + h * job.q_head_stride;
    T* y = static_cast<T*>(job.out) + h * job.dim;
    for (std::int64_t first = 0; first < job.queries; first += kAttentionQueries) {
      const QueryBlock block = query_block(job, first);
      const std::int64_t rows = block.last - block.first;
      const Rows queries = rows_of<V, S>(q + first * job.q_stride, job.q_stride, query_room, rows, job.dim, padded);
      tile_product<V>({queries.at, queries.stride, 1, keys_t + block.key_first, columns, scores, columns, rows,
                       block.keys, job.dim, false});
      for (std::int64_t r = 0; r < rows; ++r) {
        const KeyRange range = key_range(job, block.key_first, place_of(job, first + r));
        const SoftmaxRow row = softmax_row<V>(scores + r * columns, range, block.keys, job.scale);
        const V factor = V::set(1.0F / row.total);
        for (std::int64_t k = 0; k < block.keys; k += V::kWidth) {
          (V::load(scores + r * columns + k) * factor).store(scores + r * columns + k);
        }
        job.log_sums[h * job.log_sum_stride + first + r] = row.highest * job.scale + __builtin_logf(row.total);
      }
      tile_product<V>({scores, columns, 1, values.at + block.key_first * values.stride, values.stride, out, padded,
                       rows, padded, block.seen, false});
      narrow_rows<V, S>(out, padded, y + first * job.out_stride, job.out_stride, rows, job.dim);
    }
  }
}

// probabilities <- exp(scale s - log_sum), scores_gradient <- scale p (dp - delta), in place over s and dp.
template <typename V>
void score_gradients(float* scores, float* gradients, const KeyRange& range, std::int64_t keys, float scale,
                     float log_sum, float delta) {
  for_vectors<V>(keys, [&](auto tag, std::int64_t k) {
    using W = decltype(tag);
    const W p = (W::load(scores + k) * W::set(scale) - W::set(log_sum)).exp();
    p.store(scores + k);
    (p * (W::load(gradients + k) - W::set(delta)) * W::set(scale)).store(gradients + k);
  });
  const auto clear = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t k = from; k < to; ++k) scores[k] = gradients[k] = 0.0F;
  };
  clear(0, range.low);
  clear(range.high, keys);
}

template <typename V, typename S>
void attention_backward(const AttentionHead& job) {
  using T = typename S::Type;
  const std::int64_t padded = attention_padded(job.dim);
  const std::int64_t columns = attention_padded(job.tokens);
  const std::int64_t panel = columns * padded;
  AttentionRoom room(job);
  auto* key_room = room.take<float>(panel);  // [tokens, padded]
  auto* keys_t = room.take<float>(panel);    // [dim, columns]
  auto* values_t = room.take<float>(panel);  // [dim, columns]
  auto* dkeys = room.take<float>(panel);     // [tokens, padded]
  auto* dvalues = room.take<float>(panel);   // [tokens, padded]
  const std::int64_t tile = kAttentionQueries * padded;
  auto* query_room = room.take<float>(tile);  // [block, padded], as the next three
  auto* dout_room = room.take<float>(tile);
  auto* out_room = room.take<float>(tile);
  auto* dqueries = room.take<float>(tile);
  auto* scores = room.take<float>(kAttentionQueries * columns);   // [block, columns]
  auto* dscores = room.take<float>(kAttentionQueries * columns);  // [block, columns]
  const auto rows_at = [&](const void* from, std::int64_t stride, float* copy, std::int64_t rows) {
    return rows_of<V, S>(static_cast<const T*>(from), stride, copy, rows, job.dim, padded);
  };
  transpose_rows(rows_at(job.v, job.v_stride, dvalues, job.tokens), values_t, columns, job.tokens, job.dim);
  const Rows keys = rows_at(job.k, job.k_stride, key_room, job.tokens);
  transpose_rows(keys, keys_t, columns, job.tokens, job.dim);
  for (std::int64_t i = 0; i < panel; ++i) dkeys[i] = dvalues[i] = 0.0F;
  for (std::int64_t h = 0; h < job.group; ++h) {
    const T* q = static_cast<const T*>(job.q) + h * job.q_head_stride;
    const T* y = static_cast<const T*>(job.forward_out) + h * job.dim;
    const T* dy = static_cast<const T*>(job.dout) + h * job.dim;
    T* dq = static_cast<T*>(job.dq) + h * job.dim;
    for (std::int64_t first = 0; first < job.queries; first += kAttentionQueries) {
      const QueryBlock block = query_block(job, first);
      const std::int64_t rows = block.last - block.first;
      const Rows queries = rows_at(q + first * job.q_stride, job.q_stride, query_room, rows);
      const Rows outs = rows_at(y + first * job.out_stride, job.out_stride, out_room, rows);
      const Rows douts = rows_at(dy + first * job.out_stride, job.out_stride, dout_room, rows);
      tile_product<V>({queries.at, queries.stride, 1, keys_t + block.key_first, columns, scores, columns, rows,
                       block.keys, job.dim, false});
      tile_product<V>({douts.at, douts.stride, 1, values_t + block.key_first, columns, dscores, columns, rows,
                       block.keys, job.dim, false});
      for (std::int64_t r = 0; r < rows; ++r) {
        const float delta = sum_products<V>(outs.at + r * outs.stride, douts.at + r * douts.stride, padded);
        const float log_sum = job.forward_log_sums[h * job.log_sum_stride + first + r];
        const KeyRange range = key_range(job, block.key_first, place_of(job, first + r));
        score_gradients<V>(scores + r * columns, dscores + r * columns, range, block.keys, job.scale, log_sum, delta);
      }
      tile_product<V>({scores, 1, columns, douts.at, douts.stride, dvalues + block.key_first * padded, padded,
                       block.seen, padded, rows, true});
      tile_product<V>({dscores, 1, columns, queries.at, queries.stride, dkeys + block.key_first * padded, padded,
                       block.seen, padded, rows, true});
      tile_product<V>({dscores, columns, 1, keys.at + block.key_first * keys.stride, keys.stride, dqueries, padded,
                       rows, padded, block.seen, false});
      narrow_rows<V, S>(dqueries, padded, dq + first * job.out_stride, job.out_stride, rows, job.dim);
    }
  }
  narrow_rows<V, S>(dkeys, padded, static_cast<T*>(job.dk), job.dk_stride, job.tokens, job.dim);
  narrow_rows<V, S>(dvalues, padded, static_cast<T*>(job.dv), job.dk_stride, job.tokens, job.dim);
}

}  // namespace
}  // namespace striate
