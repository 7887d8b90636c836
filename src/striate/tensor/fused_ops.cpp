#include "striate/tensor/fused_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>

#include <algorithm>
#include <vector>

#include "striate/base/error.h"
#include "striate/tensor/composed_ops.h"
#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/operators.h"
#include "striate/tensor/parallel.h"
#include "striate/tensor/row_loops.h"
#include "striate/tensor/storage.h"

namespace striate {
namespace {

bool dense_tokens(const at::Tensor& cache) {
  return cache.stride(1) == cache.size(2) && cache.stride(2) == 1;
}

at::Tensor composed_decode_attention(const at::Tensor& q, std::span<const CachedTokens> sequences, double scale) {
  at::Tensor y = at::empty_like(q);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const CachedTokens& sequence = sequences[i];
    const at::Tensor query = q.select(0, static_cast<std::int64_t>(i)).to(at::kFloat);
    const at::Tensor k = sequence.keys.slice(1, sequence.begin, sequence.end).to(at::kFloat);
    const at::Tensor v = sequence.values.slice(1, sequence.begin, sequence.end).to(at::kFloat);
    const at::Tensor grouped = query.reshape({k.size(0), query.size(0) / k.size(0), query.size(1)});
    const at::Tensor weights = at::softmax(at::matmul(grouped, k.transpose(1, 2)) * scale, -1);
    y.select(0, static_cast<std::int64_t>(i)).copy_(at::matmul(weights, v).reshape(query.sizes()));
  }
  return y;
}

// The keys and values of one query head; the query, the result and the room are the caller's.
DecodeHead decode_job(const CachedTokens& sequence, std::int64_t head, std::int64_t heads) {
  const std::int64_t kv_head = head / (heads / sequence.keys.size(0));
  const auto place = [&](const at::Tensor& cache) {
    const std::int64_t elements = kv_head * cache.stride(0) + sequence.begin * cache.stride(1);
    return static_cast<const std::byte*>(cache.const_data_ptr()) + elements * cache.element_size();
  };
  DecodeHead job{};
  job.storage = storage_of(sequence.keys);
  job.dim = sequence.keys.size(2);
  job.length = sequence.end - sequence.begin;
  job.keys = place(sequence.keys);
  job.values = place(sequence.values);
  return job;
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (has_operator(x)) return operators::rms_norm(x, weight, eps);
  if (!has_cpu_loop(x)) return composed::rms_norm(x, weight, eps);
  const at::Tensor rows = dense_rows(x);
  at::Tensor y = at::empty(x.sizes(), x.options());
  NormRows job{};
  job.x = rows.const_data_ptr();
  job.weight = weight.const_data_ptr<float>();
  job.y = y.data_ptr();
  job.storage = storage_of(x);
  job.columns = x.size(1);
  job.x_stride = rows.stride(0);
  job.eps = static_cast<float>(eps);
  parallel_rows(job, x.size(0), job.columns, cpu_kernels().rms_norm);
  return y;
}

at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up) {
  if (has_operator(gate)) return operators::silu_multiply(gate, up);
  if (!has_cpu_loop(gate)) return composed::silu_multiply(gate, up);
  const at::Tensor gate_rows = dense_rows(gate);
  const at::Tensor up_rows = dense_rows(up);
  at::Tensor y = at::empty(gate.sizes(), gate.options());
  GateRows job{};
  job.gate = gate_rows.const_data_ptr();
  job.up = up_rows.const_data_ptr();
  job.y = y.data_ptr();
  job.storage = storage_of(gate);
  job.columns = gate.size(1);
  job.gate_stride = gate_rows.stride(0);
  job.up_stride = up_rows.stride(0);
  parallel_rows(job, gate.size(0), job.columns, cpu_kernels().silu_multiply);
  return y;
}

void rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  if (has_operator(x)) return operators::rotate_heads(x, cos, sin, 1.0);
  if (!has_cpu_loop(x)) return composed::rotate_heads(x, cos, sin, 1.0);
  if (x.stride(2) != 1) throw internal_error("heads whose elements do not lie side by side");
  const at::Tensor cosine = cos.contiguous();
  const at::Tensor sine = sin.contiguous();
  RotateRows job{};
  job.x = x.mutable_data_ptr();
  job.cos = cosine.const_data_ptr<float>();
  job.sin = sine.const_data_ptr<float>();
  job.storage = storage_of(x);
  job.heads = x.size(1);
  job.half = x.size(2) / 2;
  job.token_stride = x.stride(0);
  job.head_stride = x.stride(1);
  parallel_rows(job, x.size(0), x.size(1) * x.size(2), cpu_kernels().rotate);
}

void rotate_heads_back(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  if (has_operator(x)) return operators::rotate_heads(x, cos, sin, -1.0);
  rotate_heads(x, cos, sin.neg());
}

at::Tensor quick_gelu(const at::Tensor& x) {
  if (has_operator(x)) return operators::quick_gelu(x);
  if (!has_cpu_loop(x)) return composed::quick_gelu(x);
  const at::Tensor dense = x.contiguous();
  at::Tensor y = at::empty(x.sizes(), x.options());
  parallel_ranges(x.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    cpu_kernels().quick_gelu(dense.const_data_ptr(), y.data_ptr(), storage_of(x), begin, end);
  });
  return y;
}

at::Tensor row_products(const at::Tensor& a, const at::Tensor& b) {
  if (!has_cpu_loop(a)) {
    // One wide copy of a; products with b widen in the multiplication itself.
    const at::Tensor wide = a.to(at::kFloat);
    return at::stack(
        {at::sum(wide * b, -1, false, at::kDouble), at::linalg_vector_norm(wide, 2, -1).to(at::kDouble).square(),
         at::linalg_vector_norm(b, 2, -1, false, at::kFloat).to(at::kDouble).square()},
        1);
  }
  const at::Tensor a_rows = dense_rows(a);
  const at::Tensor b_rows = dense_rows(b);
  at::Tensor sums = at::empty({a.size(0), 3}, a.options().dtype(at::kDouble));
  RowProductRows job{};
  job.a = a_rows.const_data_ptr();
  job.b = b_rows.const_data_ptr();
  job.sums = sums.mutable_data_ptr<double>();
  job.storage = storage_of(a);
  job.columns = a.size(1);
  job.a_stride = a_rows.stride(0);
  job.b_stride = b_rows.stride(0);
  parallel_rows(job, a.size(0), job.columns, cpu_kernels().row_products);
  return sums;
}

at::Tensor decode_attention(const at::Tensor& q, std::span<const CachedTokens> sequences, double scale) {
  const bool loops = std::all_of(sequences.begin(), sequences.end(), [](const CachedTokens& sequence) {
    return has_cpu_loop(sequence.keys) && dense_tokens(sequence.keys) && dense_tokens(sequence.values);
  });
  if (!loops) return composed_decode_attention(q, sequences, scale);
  const at::Tensor queries = q.to(at::kFloat).contiguous();
  at::Tensor y = at::empty(q.sizes(), queries.options());
  const std::int64_t heads = q.size(1);
  const std::int64_t dim = q.size(2);
  std::int64_t longest = 1;
  for (const CachedTokens& sequence : sequences) longest = std::max(longest, sequence.end - sequence.begin);
  const std::int64_t grain = std::max<std::int64_t>(1, kTaskElements / (longest * dim));
  parallel_ranges(q.size(0) * heads, grain, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> scores(static_cast<std::size_t>(longest));
    for (std::int64_t task = first; task < last; ++task) {
      DecodeHead job = decode_job(sequences[static_cast<std::size_t>(task / heads)], task % heads, heads);
      job.q = queries.const_data_ptr<float>() + task * dim;
      job.scores = scores.data();
      job.y = y.data_ptr<float>() + task * dim;
      job.scale = static_cast<float>(scale);
      cpu_kernels().decode_head(job);
    }
  });
  return y.to(q.scalar_type());
}

}  // namespace striate
