#include "striate/infer/kv_cache.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <exception>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/torch_errors.h"

namespace striate {
namespace {

// One token's rows [kv_heads, head_dim] into column `place` of [kv_heads, capacity, head_dim]: a decoding step does
// this for every sequence and layer, too often for LibTorch's dispatch.
void put_row(const at::Tensor& cache, const at::Tensor& row, std::int64_t place) {
  const std::size_t element = cache.element_size();
  const std::size_t bytes = static_cast<std::size_t>(cache.size(2)) * element;
  auto* to = static_cast<std::byte*>(cache.mutable_data_ptr());
  const auto* from = static_cast<const std::byte*>(row.const_data_ptr());
  for (std::int64_t head = 0; head < cache.size(0); ++head) {
    const std::int64_t target = head * cache.stride(0) + place * cache.stride(1);
    std::memcpy(to + static_cast<std::size_t>(target) * element,
                from + static_cast<std::size_t>(head * row.stride(1)) * element, bytes);
  }
}

void put_tokens(const at::Tensor& cache, const at::Tensor& tokens, std::int64_t place) {
  const bool one =
      tokens.size(0) == 1 && cache.is_cpu() && tokens.stride(2) == 1 && cache.scalar_type() == tokens.scalar_type();
  if (one) return put_row(cache, tokens, place);
  cache.slice(1, place, place + tokens.size(0)).copy_(tokens.transpose(0, 1));
}

}  // namespace

KvCache::KvCache(const DecoderConfig& config, const Placement& placement, std::int64_t capacity) : capacity_(capacity) {
  const at::TensorOptions options = at::TensorOptions(compute_dtype(placement.compute)).device(placement.device);
  try {
    storage_ = at::empty({config.layers, 2, config.kv_heads, capacity, config.head_dim}, options);
  } catch (const std::exception& error) {
    if (!ran_out_of_memory(error)) throw;
    throw resource_error(cat("not enough memory for the keys and values of ", capacity, " tokens"),
                         "give a smaller context with `context` N");
  }
  for (std::int64_t i = 0; i < config.layers; ++i) {
    keys_.push_back(storage_.select(0, i).select(0, 0));
    values_.push_back(storage_.select(0, i).select(0, 1));
  }
}

std::uint64_t KvCache::bytes_for(const DecoderConfig& config, const Placement& placement, std::int64_t capacity) {
  const std::int64_t numbers = config.layers * 2 * config.kv_heads * capacity * config.head_dim;
  return static_cast<std::uint64_t>(numbers) * at::elementSize(compute_dtype(placement.compute));
}

void KvCache::put(std::int64_t layer, const at::Tensor& k, const at::Tensor& v) {
  if (length_ + k.size(0) > capacity_) {
    throw internal_error(cat("the key-value cache holds ", capacity_, " tokens, not ", length_ + k.size(0)));
  }
  put_tokens(keys(layer), k, length_);
  put_tokens(values(layer), v, length_);
}

void KvCache::truncate(std::int64_t length) {
  if (length < 0 || length > length_) throw internal_error(cat("cannot keep ", length, " of ", length_, " tokens"));
  length_ = length;
}

void KvCache::copy_prefix(const KvCache& other, std::int64_t length) {
  if (length < 0 || length > other.length_ || length > capacity_) {
    throw internal_error(cat("cannot take ", length, " of ", other.length_, " tokens over into ", capacity_));
  }
  storage_.slice(3, 0, length).copy_(other.storage_.slice(3, 0, length));
  length_ = length;
}

}  // namespace striate
