// Keys and values of the tokens a model has already seen.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "striate/model/attention.h"
#include "striate/model/config.h"
#include "striate/model/placement.h"

namespace striate {

// The cache of one sequence, allocated once for `capacity` tokens. It is an Attention: the layers of a forward pass
// over new tokens append to it and attend to everything in it. Throws nothing but ResourceError (no memory).
class KvCache final : public Attention {
 public:
  KvCache(const DecoderConfig& config, const Placement& placement, std::int64_t capacity);

  // The new tokens' q, k, v; see Attention. All layers of a pass see the same number of new tokens, n <= free room.
  at::Tensor attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) override;
  // Ends a pass over n tokens: they now count as past.
  void advance(std::int64_t n) { length_ += n; }
  // Forgets everything after the first `length` tokens.
  void truncate(std::int64_t length);

  std::int64_t length() const { return length_; }
  std::int64_t capacity() const { return capacity_; }
  std::uint64_t bytes() const;

 private:
  DecoderConfig config_;
  std::int64_t capacity_;
  std::int64_t length_ = 0;
  std::vector<at::Tensor> keys_;    // per layer [kv_heads, capacity, head_dim]
  std::vector<at::Tensor> values_;  // per layer [kv_heads, capacity, head_dim]
};

}  // namespace striate
