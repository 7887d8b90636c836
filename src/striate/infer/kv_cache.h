// Keys and values of the tokens that a model has already seen.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "striate/model/config.h"
#include "striate/model/placement.h"

namespace striate {

// The cache of one sequence, allocated once for `capacity` tokens.
class KvCache {
 public:
  // Throws ResourceError where memory does not suffice.
  KvCache(const DecoderConfig& config, const Placement& placement, std::int64_t capacity);

  // What a cache of `capacity` tokens takes.
  static std::uint64_t bytes_for(const DecoderConfig& config, const Placement& placement, std::int64_t capacity);

  // Writes the k and v [n, kv_heads, head_dim] of n new tokens after those that are there. They count from advance()
  // on, when all layers have theirs. Throws Internal where the room does not suffice.
  void put(std::int64_t layer, const at::Tensor& k, const at::Tensor& v);
  void advance(std::int64_t n) { length_ += n; }
  // Forgets everything after the first `length` tokens. Throws Internal for more than there are.
  void truncate(std::int64_t length);
  // Becomes the first `length` tokens of `other`, a cache of the same model. Throws Internal for more than `other` has,
  // or more than fit here.
  void copy_prefix(const KvCache& other, std::int64_t length);

  // [kv_heads, capacity, head_dim], a view.
  const at::Tensor& keys(std::int64_t layer) const { return keys_[static_cast<std::size_t>(layer)]; }
  const at::Tensor& values(std::int64_t layer) const { return values_[static_cast<std::size_t>(layer)]; }

  std::int64_t length() const { return length_; }
  std::int64_t capacity() const { return capacity_; }
  std::uint64_t bytes() const { return storage_.nbytes(); }

 private:
  std::int64_t capacity_;
  std::int64_t length_ = 0;
  at::Tensor storage_;            // [layers, 2, kv_heads, capacity, head_dim]
  std::vector<at::Tensor> keys_;  // per layer, views of the storage
  std::vector<at::Tensor> values_;
};

}  // namespace striate
