#include "striate/infer/kv_cache.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <cmath>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"

namespace striate {

KvCache::KvCache(const DecoderConfig& config, const Placement& placement, std::int64_t capacity)
    : config_(config), capacity_(capacity) {
  const at::TensorOptions options = at::TensorOptions(compute_dtype(placement.compute)).device(placement.device);
  try {
    for (std::int64_t i = 0; i < config.layers; ++i) {
      keys_.push_back(at::empty({config.kv_heads, capacity, config.head_dim}, options));
      values_.push_back(at::empty({config.kv_heads, capacity, config.head_dim}, options));
    }
  } catch (const c10::Error&) {  // the allocator's: no memory on the machine or device
    throw resource_error(cat("no memory for the keys and values of ", capacity, " tokens"),
                         "give a smaller context with --context N");
  }
}

at::Tensor KvCache::attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto index = static_cast<std::size_t>(layer);
  const std::int64_t n = q.size(0);
  const std::int64_t total = length_ + n;
  if (total > capacity_) throw internal_error(cat("the key-value cache holds ", capacity_, " tokens, not ", total));
  keys_[index].slice(1, length_, total).copy_(k.transpose(0, 1));
  values_[index].slice(1, length_, total).copy_(v.transpose(0, 1));
  const bool window_bites = config_.sliding_window && total > *config_.sliding_window + 1;
  if (n == 1 && !window_bites) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(config_.head_dim));
    return decode_attention(q.squeeze(0), keys_[index], values_[index], total, scale).unsqueeze(0);
  }
  const auto tokens_first = [&](const at::Tensor& cache) { return cache.slice(1, 0, total).transpose(0, 1); };
  return causal_attention(q, tokens_first(keys_[index]), tokens_first(values_[index]), config_.sliding_window);
}

void KvCache::truncate(std::int64_t length) {
  if (length < 0 || length > length_) throw internal_error(cat("cannot keep ", length, " of ", length_, " tokens"));
  length_ = length;
}

std::uint64_t KvCache::bytes() const {
  std::uint64_t sum = 0;
  for (const at::Tensor& keys : keys_) sum += 2 * keys.nbytes();
  return sum;
}

}  // namespace striate
