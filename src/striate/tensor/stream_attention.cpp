#include "striate/tensor/stream_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/cuda/compute_capability.h"
#include "striate/tensor/deterministic_sums.h"
#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/parallel.h"
#include "striate/tensor/row_loops.h"
#include "striate/tensor/storage.h"
#include "striate/tensor/upload.h"

namespace striate {
namespace {

// A sample that asks nothing leaves its keys' gradients as they are made: zero.
StreamAttentionGradients empty_gradients(const at::Tensor& q, const at::Tensor& k, const StreamQueries* queries) {
  const auto keys = [&] {
    return queries == nullptr ? at::empty(k.sizes(), q.options()) : at::zeros(k.sizes(), q.options());
  };
  return {at::empty(q.sizes(), q.options()), keys(), keys()};
}

double attention_scale(const at::Tensor& q) {
  return 1.0 / std::sqrt(static_cast<double>(q.size(2)));
}

// A sample's tokens and queries: [begin, end) of each.
struct Span {
  std::int64_t begin, end;
  std::int64_t first_query, last_query;
};

Span span_of(const StreamShape& shape, const StreamQueries* queries, std::size_t sample) {
  const std::vector<std::int64_t>& asked = queries == nullptr ? shape.bounds : queries->bounds;
  return {shape.bounds[sample], shape.bounds[sample + 1], asked[sample], asked[sample + 1]};
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

  AttentionHead at(const Span& span, std::int64_t kv_head, std::span<float> work) const {
    AttentionHead job = base;
    const std::int64_t first_head = kv_head * base.group;
    job.tokens = span.end - span.begin;
    job.queries = span.last_query - span.first_query;
    if (base.places != nullptr) job.places = base.places + span.first_query;
    job.q = moved(base.q, span.first_query * base.q_stride + first_head * base.q_head_stride);
    job.k = moved(base.k, span.begin * base.k_stride + kv_head * k_head);
    job.v = moved(base.v, span.begin * base.v_stride + kv_head * v_head);
    const std::int64_t out = span.first_query * base.out_stride + first_head * dim;
    job.out = moved(base.out, out);
    job.forward_out = moved(base.forward_out, out);
    job.dout = moved(base.dout, out);
    job.dq = moved(base.dq, out);
    job.dk = moved(base.dk, span.begin * base.dk_stride + kv_head * dim);
    job.dv = moved(base.dv, span.begin * base.dk_stride + kv_head * dim);
    const std::int64_t sums = first_head * base.log_sum_stride + span.first_query;
    if (base.log_sums != nullptr) job.log_sums = base.log_sums + sums;
    if (base.forward_log_sums != nullptr) job.forward_log_sums = base.forward_log_sums + sums;
    job.work = work.data();
    job.work_floats = static_cast<std::int64_t>(work.size());
    return job;
  }
};

JobMaker job_maker(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const StreamShape& shape,
                   const StreamQueries* queries) {
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
  job.places = queries == nullptr ? nullptr : queries->places.data();
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

// kernel(job) for every sample that asks and key-value head. Heads are the outer count, so that equal shares of them
// cost the same whatever the samples' lengths.
template <typename Kernel>
void for_heads(const JobMaker& maker, std::int64_t kv_heads, const StreamShape& shape, const StreamQueries* queries,
               Kernel kernel) {
  const auto samples = static_cast<std::int64_t>(shape.bounds.size()) - 1;
  std::int64_t longest = 0;
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    longest = std::max(longest, shape.bounds[s + 1] - shape.bounds[s]);
  }
  const auto room = static_cast<std::size_t>(attention_work(longest, maker.dim));
  parallel_ranges(kv_heads * samples, 1, [&](std::int64_t first, std::int64_t last) {
    const std::unique_ptr<float[]> work(new float[room]);
    for (std::int64_t task = first; task < last; ++task) {
      const Span span = span_of(shape, queries, static_cast<std::size_t>(task % samples));
      if (span.first_query < span.last_query) kernel(maker.at(span, task / samples, std::span(work.get(), room)));
    }
  });
}

// The composed form. One sample: [heads, ..., d] queries, keys and values repeated to every head, fp32, and the mask.
struct SampleHeads {
  at::Tensor q, k, v;
  at::Tensor hidden;  // [queries, n] bool: keys a query does not see
};

at::Tensor heads_first(const at::Tensor& x, std::int64_t begin, std::int64_t end, std::int64_t repeats) {
  return x.slice(0, begin, end).to(at::kFloat).repeat_interleave(repeats, 1).transpose(0, 1);
}

SampleHeads sample_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const StreamShape& shape,
                         const StreamQueries* queries, const Span& span) {
  const std::int64_t group = q.size(1) / k.size(1);
  const at::Tensor place = at::arange(span.end - span.begin, at::TensorOptions(at::kLong).device(q.device()));
  at::Tensor asking = place;
  if (queries != nullptr) {
    const std::int64_t count = span.last_query - span.first_query;
    const at::Tensor host = at::empty({count}, at::TensorOptions(at::kLong));
    std::copy_n(queries->places.begin() + span.first_query, count, host.mutable_data_ptr<std::int64_t>());
    asking = uploaded(host, q.device());
  }
  const at::Tensor query = asking.unsqueeze(1);
  const at::Tensor key = place.unsqueeze(0);
  at::Tensor hidden = key.gt(query);
  if (shape.window) hidden = hidden.logical_or(key.lt(query - *shape.window));
  return {heads_first(q, span.first_query, span.last_query, 1), heads_first(k, span.begin, span.end, group),
          heads_first(v, span.begin, span.end, group), hidden};
}

at::Tensor masked_scores(const SampleHeads& heads) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(heads.q.size(2)));
  return at::matmul(heads.q, heads.k.transpose(1, 2))
      .mul_(scale)
      .masked_fill_(heads.hidden, -std::numeric_limits<float>::infinity());
}

StreamAttentionResult composed_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const StreamShape& shape, const StreamQueries* queries) {
  StreamAttentionResult result;
  result.out = at::empty(q.sizes(), q.options());
  result.log_sums = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    const Span span = span_of(shape, queries, s);
    if (span.first_query == span.last_query) continue;
    const SampleHeads heads = sample_heads(q, k, v, shape, queries, span);
    const at::Tensor scores = masked_scores(heads);
    const at::Tensor log_sums = at::logsumexp(scores, -1);
    const at::Tensor out = at::matmul((scores - log_sums.unsqueeze(-1)).exp_(), heads.v);
    result.out.slice(0, span.first_query, span.last_query).copy_(out.transpose(0, 1));
    result.log_sums.slice(1, span.first_query, span.last_query).copy_(log_sums);
  }
  return result;
}

StreamAttentionGradients composed_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                           const at::Tensor& v, const StreamAttentionResult& forward,
                                           const StreamShape& shape, const StreamQueries* queries) {
  const std::int64_t group = q.size(1) / k.size(1);
  StreamAttentionGradients result = empty_gradients(q, k, queries);
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    const Span span = span_of(shape, queries, s);
    if (span.first_query == span.last_query) continue;
    const SampleHeads heads = sample_heads(q, k, v, shape, queries, span);
    const at::Tensor dy = heads_first(dout, span.first_query, span.last_query, 1);
    const at::Tensor y = heads_first(forward.out, span.first_query, span.last_query, 1);
    const at::Tensor log_sums = forward.log_sums.slice(1, span.first_query, span.last_query);
    const at::Tensor p = (masked_scores(heads) - log_sums.unsqueeze(-1)).exp_();
    const at::Tensor delta = (dy * y).sum(-1, /*keepdim=*/true);
    const at::Tensor ds = p * (at::matmul(dy, heads.v.transpose(1, 2)) - delta) * attention_scale(q);
    // [heads, n, d] -> [n, kv_heads, d], summed over the heads that read one key-value head.
    const auto gathered = [&](const at::Tensor& x) {
      return x.unflatten(0, {k.size(1), group}).sum(1).transpose(0, 1);
    };
    result.dq.slice(0, span.first_query, span.last_query).copy_(at::matmul(ds, heads.k).transpose(0, 1));
    result.dk.slice(0, span.begin, span.end).copy_(gathered(at::matmul(ds.transpose(1, 2), heads.q)));
    result.dv.slice(0, span.begin, span.end).copy_(gathered(at::matmul(p.transpose(1, 2), dy)));
  }
  return result;
}

// LibTorch's flash attention is for Ampere and later.
bool has_flash_kernels(int device) {
  constexpr int kAmpere = 80;
  static std::mutex mutex;
  static std::map<int, bool> devices;
  const std::lock_guard lock(mutex);
  const auto known = devices.find(device);
  if (known != devices.end()) return known->second;
  return devices[device] = cuda::compute_capability(device).value_or(kAmpere) >= kAmpere;
}

bool suits_flash(const at::Tensor& q, const StreamShape& shape, const StreamQueries* queries) {
  const bool bounds = shape.on_device.bounds.defined() && (queries == nullptr || queries->on_device.bounds.defined());
  return bounds && flash_takes(q);
}

// What both of its passes are told.
struct FlashCall {
  const DeviceBounds& queries;
  const DeviceBounds& keys;
  std::int64_t most_queries;
  std::optional<c10::SymInt> left, right;
};

FlashCall flash_call(const at::Tensor& q, const StreamShape& shape, const StreamQueries* queries) {
  const DeviceBounds& asked = queries == nullptr ? shape.on_device : queries->on_device;
  // With one query a sample at most it expects one of every sample.
  const bool one_each = q.size(0) + 1 == asked.bounds.size(0);
  FlashCall call{asked, shape.on_device, asked.longest == 1 && !one_each ? 2 : asked.longest, {}, {}};
  if (shape.window) {
    call.left = *shape.window;
    call.right = 0;
  }
  return call;
}

StreamAttentionResult flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                    const StreamShape& shape, const StreamQueries* queries) {
  const FlashCall call = flash_call(q, shape, queries);
  auto [out, log_sums, state, unused, debug] = at::_flash_attention_forward_symint(
      q, k, v, call.queries.bounds, call.keys.bounds, call.most_queries, call.keys.longest, /*dropout_p=*/0.0,
      /*is_causal=*/true, /*return_debug_mask=*/false, attention_scale(q), call.left, call.right);
  return {std::move(out), std::move(log_sums), {std::move(state), std::move(unused)}};
}

StreamAttentionGradients flash_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v, const StreamAttentionResult& forward,
                                        const StreamShape& shape, const StreamQueries* queries) {
  const FlashCall call = flash_call(q, shape, queries);
  const DeterministicSums deterministic(shape.deterministic);
  auto [dq, dk, dv] = at::_flash_attention_backward_symint(
      dout, q, k, v, forward.out, forward.log_sums, call.queries.bounds, call.keys.bounds, call.most_queries,
      call.keys.longest, /*dropout_p=*/0.0, /*is_causal=*/true, forward.random[0], forward.random[1],
      attention_scale(q), call.left, call.right);
  return {std::move(dq), std::move(dk), std::move(dv)};
}

void check_queries(const at::Tensor& q, const at::Tensor& k, const StreamShape& shape, const StreamQueries* queries) {
  const bool fits = queries == nullptr ? q.size(0) == k.size(0)
                                       : queries->bounds.size() == shape.bounds.size() &&
                                             static_cast<std::int64_t>(queries->places.size()) == q.size(0);
  if (!fits) throw internal_error(cat("queries ", q.sizes(), " of a stream with keys ", k.sizes()));
}

}  // namespace

bool flash_takes(const at::Tensor& heads) {
  if (heads.is_cuda() && !has_flash_kernels(heads.device().index())) return false;
  const bool narrow = heads.scalar_type() == at::kBFloat16 || heads.scalar_type() == at::kHalf;
  return !heads.is_cpu() && narrow && heads.size(2) % 8 == 0 && heads.size(2) <= 256;
}

DeviceBounds device_bounds(const std::vector<std::int64_t>& bounds, at::Device device) {
  if (device.is_cpu()) return {};
  DeviceBounds result;
  const auto count = static_cast<std::int64_t>(bounds.size());
  const at::Tensor host = at::empty({count}, at::TensorOptions(at::kInt));
  auto* bound = host.mutable_data_ptr<std::int32_t>();
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    bound[i] = static_cast<std::int32_t>(bounds[i]);
    if (i > 0) result.longest = std::max(result.longest, bounds[i] - bounds[i - 1]);
  }
  result.bounds = uploaded(host, device);
  return result;
}

StreamQueries stream_queries(const at::Tensor& rows, const StreamShape& shape) {
  StreamQueries queries;
  const auto* row = rows.const_data_ptr<std::int64_t>();
  const std::int64_t count = rows.size(0);
  std::int64_t next = 0;
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    queries.bounds.push_back(next);
    for (; next < count && row[next] < shape.bounds[s + 1]; ++next) {
      const std::int64_t lowest = next == queries.bounds.back() ? shape.bounds[s] : row[next - 1] + 1;
      if (row[next] < lowest) throw internal_error("the queries of a stream are not in order");
      queries.places.push_back(static_cast<std::int32_t>(row[next] - shape.bounds[s]));
    }
  }
  queries.bounds.push_back(next);
  if (next != count) throw internal_error("a query beyond its stream");
  return queries;
}

at::Tensor with_rest_of_samples(const at::Tensor& rows, const StreamShape& shape) {
  const StreamQueries queries = stream_queries(rows, shape);
  std::vector<at::Tensor> parts = {at::empty({0}, rows.options())};
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    const std::int64_t first = queries.bounds[s];
    if (first == queries.bounds[s + 1]) continue;
    const std::int64_t place = queries.places[static_cast<std::size_t>(first)];
    parts.push_back(at::arange(shape.bounds[s] + place, shape.bounds[s + 1], rows.options()));
  }
  return at::cat(parts);
}

StreamAttentionResult stream_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const StreamShape& shape, const StreamQueries* queries) {
  check_queries(q, k, shape, queries);
  if (suits_flash(q, shape, queries)) return flash_forward(q, k, v, shape, queries);
  if (!has_cpu_loop(q)) return composed_forward(q, k, v, shape, queries);
  const at::Tensor asking = dense_rows(q);
  const at::Tensor keys = dense_rows(k);
  const at::Tensor values = dense_rows(v);
  StreamAttentionResult result;
  result.out = at::empty(q.sizes(), q.options());
  result.log_sums = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
  JobMaker maker = job_maker(asking, keys, values, shape, queries);
  maker.base.out = result.out.mutable_data_ptr();
  maker.base.log_sums = result.log_sums.mutable_data_ptr<float>();
  for_heads(maker, k.size(1), shape, queries, cpu_kernels().attention_forward);
  return result;
}

StreamAttentionGradients stream_attention_gradients(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                                    const at::Tensor& v, const StreamAttentionResult& forward,
                                                    const StreamShape& shape, const StreamQueries* queries) {
  check_queries(q, k, shape, queries);
  if (suits_flash(q, shape, queries)) return flash_backward(dout, q, k, v, forward, shape, queries);
  if (!has_cpu_loop(q)) return composed_backward(dout, q, k, v, forward, shape, queries);
  const at::Tensor asking = dense_rows(q);
  const at::Tensor keys = dense_rows(k);
  const at::Tensor values = dense_rows(v);
  const at::Tensor out_gradient = dout.contiguous();
  StreamAttentionGradients result = empty_gradients(q, k, queries);
  JobMaker maker = job_maker(asking, keys, values, shape, queries);
  maker.base.forward_out = forward.out.const_data_ptr();
  maker.base.dout = out_gradient.const_data_ptr();
  maker.base.dq = result.dq.mutable_data_ptr();
  maker.base.dk = result.dk.mutable_data_ptr();
  maker.base.dv = result.dv.mutable_data_ptr();
  maker.base.forward_log_sums = forward.log_sums.const_data_ptr<float>();
  for_heads(maker, k.size(1), shape, queries, cpu_kernels().attention_backward);
  return result;
}

}  // namespace striate
