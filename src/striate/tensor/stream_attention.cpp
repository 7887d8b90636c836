#include "striate/tensor/stream_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/parallel.h"
#include "striate/tensor/row_loops.h"
#include "striate/tensor/storage.h"

namespace striate {
namespace {

double attention_scale(const at::Tensor& q) {
  return 1.0 / std::sqrt(static_cast<double>(q.size(2)));
}

// Every pointer of a job moved to one sample and key-value head.
struct JobMaker {
  AttentionHead base{};
  std::int64_t element = 0;  // bytes
  std::int64_t dim = 0;
  std::int64_t k_head = 0, v_head = 0;  // strides from head to head

  template <typename Pointer>
  Pointer* moved(Pointer* pointer, std::int64_t elements) const {
    using Byte = std::conditional_t<std::is_const_v<Pointer>, const std::byte, std::byte>;
    return pointer == nullptr ? nullptr : static_cast<Byte*>(pointer) + elements * element;
  }

  AttentionHead at(std::int64_t begin, std::int64_t end, std::int64_t kv_head, float* work) const {
    AttentionHead job = base;
    const std::int64_t first_head = kv_head * base.group;
    job.tokens = end - begin;
    job.q = moved(base.q, begin * base.q_stride + first_head * base.q_head_stride);
    job.k = moved(base.k, begin * base.k_stride + kv_head * k_head);
    job.v = moved(base.v, begin * base.v_stride + kv_head * v_head);
    const std::int64_t out = begin * base.out_stride + first_head * dim;
    job.out = moved(base.out, out);
    job.dout = moved(base.dout, out);
    job.dq = moved(base.dq, out);
    job.dk = moved(base.dk, begin * base.dk_stride + kv_head * dim);
    job.dv = moved(base.dv, begin * base.dk_stride + kv_head * dim);
    job.log_sums = base.log_sums + first_head * base.log_sum_stride + begin;
    job.work = work;
    return job;
  }
};

JobMaker job_maker(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const StreamShape& shape) {
  JobMaker maker;
  maker.element = q.element_size();
  maker.dim = q.size(2);
  maker.k_head = k.stride(1);
  maker.v_head = v.stride(1);
  AttentionHead& job = maker.base;
  job.q = q.const_data_ptr();
  job.k = k.const_data_ptr();
  job.v = v.const_data_ptr();
  job.storage = storage_of(q);
  job.dim = q.size(2);
  job.group = q.size(1) / k.size(1);
  job.window = shape.window.value_or(-1);
  job.q_stride = q.stride(0);
  job.q_head_stride = q.stride(1);
  job.k_stride = k.stride(0);
  job.v_stride = v.stride(0);
  job.out_stride = q.size(1) * q.size(2);
  job.dk_stride = k.size(1) * k.size(2);
  job.log_sum_stride = q.size(0);
  job.scale = static_cast<float>(attention_scale(q));
  return maker;
}

// kernel(job) for every sample and key-value head. Heads are the outer count, so that equal shares of them cost the
// same whatever the samples' lengths.
template <typename Kernel>
void for_heads(const JobMaker& maker, std::int64_t kv_heads, const StreamShape& shape, Kernel kernel) {
  const auto samples = static_cast<std::int64_t>(shape.bounds.size()) - 1;
  std::int64_t longest = 0;
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    longest = std::max(longest, shape.bounds[s + 1] - shape.bounds[s]);
  }
  const auto room = static_cast<std::size_t>(attention_work(longest, maker.dim));
  parallel_ranges(kv_heads * samples, 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> work(room);
    for (std::int64_t task = first; task < last; ++task) {
      const auto sample = static_cast<std::size_t>(task % samples);
      const std::int64_t begin = shape.bounds[sample];
      const std::int64_t end = shape.bounds[sample + 1];
      if (begin < end) kernel(maker.at(begin, end, task / samples, work.data()));
    }
  });
}

// The composed form. One sample: [heads, n, d] queries, keys and values repeated to every head, fp32, and the mask.
struct SampleHeads {
  at::Tensor q, k, v;
  at::Tensor hidden;  // [n, n] bool: keys a query does not see
};

at::Tensor heads_first(const at::Tensor& x, std::int64_t begin, std::int64_t end, std::int64_t repeats) {
  return x.slice(0, begin, end).to(at::kFloat).repeat_interleave(repeats, 1).transpose(0, 1);
}

SampleHeads sample_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const StreamShape& shape,
                         std::size_t sample) {
  const std::int64_t begin = shape.bounds[sample];
  const std::int64_t end = shape.bounds[sample + 1];
  const std::int64_t group = q.size(1) / k.size(1);
  const at::Tensor place = at::arange(end - begin, at::TensorOptions(at::kLong).device(q.device()));
  const at::Tensor query = place.unsqueeze(1);
  const at::Tensor key = place.unsqueeze(0);
  at::Tensor hidden = key.gt(query);
  if (shape.window) hidden = hidden.logical_or(key.lt(query - *shape.window));
  return {heads_first(q, begin, end, 1), heads_first(k, begin, end, group), heads_first(v, begin, end, group), hidden};
}

at::Tensor masked_scores(const SampleHeads& heads) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.q.size(2)));
  return at::matmul(heads.q, heads.k.transpose(1, 2))
      .mul_(scale)
      .masked_fill_(heads.hidden, -std::numeric_limits<float>::infinity());
}

StreamAttentionResult composed_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const StreamShape& shape) {
  StreamAttentionResult result;
  result.out = at::empty(q.sizes(), q.options());
  result.log_sums = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    if (shape.bounds[s] == shape.bounds[s + 1]) continue;
    const SampleHeads heads = sample_heads(q, k, v, shape, s);
    const at::Tensor scores = masked_scores(heads);
    const at::Tensor log_sums = at::logsumexp(scores, -1);
    const at::Tensor out = at::matmul((scores - log_sums.unsqueeze(-1)).exp_(), heads.v);
    result.out.slice(0, shape.bounds[s], shape.bounds[s + 1]).copy_(out.transpose(0, 1));
    result.log_sums.slice(1, shape.bounds[s], shape.bounds[s + 1]).copy_(log_sums);
  }
  return result;
}

StreamAttentionGradients composed_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v, const StreamAttentionResult& forward,
                                           const StreamShape& shape) {
  const std::int64_t group = q.size(1) / k.size(1);
  StreamAttentionGradients result{at::empty(q.sizes(), q.options()), at::empty(k.sizes(), q.options()),
                                  at::empty(k.sizes(), q.options())};
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    const std::int64_t begin = shape.bounds[s];
    const std::int64_t end = shape.bounds[s + 1];
    if (begin == end) continue;
    const SampleHeads heads = sample_heads(q, k, v, shape, s);
    const at::Tensor dy = heads_first(dout, begin, end, 1);
    const at::Tensor y = heads_first(forward.out, begin, end, 1);
    const at::Tensor p = (masked_scores(heads) - forward.log_sums.slice(1, begin, end).unsqueeze(-1)).exp_();
    const at::Tensor delta = (dy * y).sum(-1, /*keepdim=*/true);
    const at::Tensor ds = p * (at::matmul(dy, heads.v.transpose(1, 2)) - delta) * attention_scale(q);
    // [heads, n, d] -> [n, kv_heads, d], summed over the heads that read one key-value head.
    const auto gathered = [&](const at::Tensor& x) {
      return x.unflatten(0, {k.size(1), group}).sum(1).transpose(0, 1);
    };
    result.dq.slice(0, begin, end).copy_(at::matmul(ds, heads.k).transpose(0, 1));
    result.dk.slice(0, begin, end).copy_(gathered(at::matmul(ds.transpose(1, 2), heads.q)));
    result.dv.slice(0, begin, end).copy_(gathered(at::matmul(p.transpose(1, 2), dy)));
  }
  return result;
}

}  // namespace

StreamAttentionResult stream_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const StreamShape& shape) {
  if (!has_cpu_loop(q)) return composed_forward(q, k, v, shape);
  const at::Tensor queries = dense_rows(q);
  const at::Tensor keys = dense_rows(k);
  const at::Tensor values = dense_rows(v);
  StreamAttentionResult result;
  result.out = at::empty(q.sizes(), q.options());
  result.log_sums = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
  JobMaker maker = job_maker(queries, keys, values, shape);
  maker.base.out = result.out.mutable_data_ptr();
  maker.base.log_sums = result.log_sums.mutable_data_ptr<float>();
  for_heads(maker, k.size(1), shape, cpu_kernels().attention_forward);
  return result;
}

StreamAttentionGradients stream_attention_gradients(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                                    const at::Tensor& v, const StreamAttentionResult& forward,
                                                    const StreamShape& shape) {
  if (!has_cpu_loop(q)) return composed_backward(dout, q, k, v, forward, shape);
  const at::Tensor queries = dense_rows(q);
  const at::Tensor keys = dense_rows(k);
  const at::Tensor values = dense_rows(v);
  const at::Tensor out_gradient = dout.contiguous();
  StreamAttentionGradients result{at::empty(q.sizes(), q.options()), at::empty(k.sizes(), q.options()),
                                  at::empty(k.sizes(), q.options())};
  JobMaker maker = job_maker(queries, keys, values, shape);
  maker.base.out = forward.out.mutable_data_ptr();
  maker.base.dout = out_gradient.const_data_ptr();
  maker.base.dq = result.dq.mutable_data_ptr();
  maker.base.dk = result.dk.mutable_data_ptr();
  maker.base.dv = result.dv.mutable_data_ptr();
  maker.base.log_sums = forward.log_sums.mutable_data_ptr<float>();
  for_heads(maker, k.size(1), shape, cpu_kernels().attention_backward);
  return result;
}

}  // namespace striate
