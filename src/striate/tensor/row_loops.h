// What the sources that call the CPU's row loops share.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

#include "striate/tensor/parallel.h"

namespace striate {

inline constexpr std::int64_t kTaskElements = 1 << 15;  // elements one parallel task handles at least

// Whether the loops of kernels/ read this tensor.
inline bool has_cpu_loop(const at::Tensor& x) {
  return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

// Whether an operator of ours is called for it (operators.h).
inline bool has_operator(const at::Tensor& x) {
  return !x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

// `x` itself when its last dimension is dense, else a copy that is.
inline at::Tensor dense_rows(const at::Tensor& x) {
  return x.stride(-1) == 1 || x.size(-1) <= 1 ? x : x.contiguous();
}

// body(job) on ranges of rows, in parallel; Job has row_begin and row_end.
template <typename Job, typename Body>
void parallel_rows(Job job, std::int64_t rows, std::int64_t columns, Body body) {
  const std::int64_t grain = std::max<std::int64_t>(1, kTaskElements / std::max<std::int64_t>(1, columns));
  parallel_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    Job part = job;
    part.row_begin = begin;
    part.row_end = end;
    body(part);
  });
}

}  // namespace striate
