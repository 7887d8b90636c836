// Attention of a forward pass over new tokens of several sequences, each with a cache of its own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "striate/infer/kv_cache.h"
#include "striate/model/attention.h"
#include "striate/tensor/stream_attention.h"

namespace striate {

// New tokens of one sequence: they follow what its cache holds.
struct NewTokens {
  KvCache* cache = nullptr;
  std::int64_t count = 0;
};

// The stream of a pass holds the new tokens of every part, in order. Each layer appends its keys and values to the
// caches; queries see everything in their own cache and nothing else. The caches' lengths stay as they are until
// finish(). Parts with one token beside a filled cache are computed together, but where flash attention takes them;
// so are those whose cache is empty.
class SequencePass final : public Attention {
 public:
  // Caches must differ from each other, have room, and outlive the pass.
  SequencePass(std::vector<NewTokens> parts, std::optional<std::int64_t> window);

  at::Tensor attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) override;
  // After the last layer: the new tokens now count as past.
  void finish();

 private:
  // Neighbours in the stream that one call computes.
  struct Group {
    std::size_t first = 0, last = 0;  // of parts_
    std::int64_t row_begin = 0, row_end = 0;
    enum class Kind { kDecoding, kContinuing, kFresh } kind = Kind::kFresh;
  };
  static Group::Kind kind_of(const NewTokens& part);
  // How the tokens of a group that a cache is not decoded with see keys: made once, for all layers.
  struct Sight {
    StreamShape shape;
    StreamQueries queries;  // of a prompt that is continued
  };
  static bool has_flash(const NewTokens& part);
  Sight sight_of(const Group& group) const;
  at::Tensor decode(const Group& group, std::int64_t layer, const at::Tensor& q) const;
  at::Tensor continue_prompt(std::size_t group, std::int64_t layer, const at::Tensor& q) const;

  std::vector<NewTokens> parts_;
  std::vector<Group> groups_;
  std::vector<Sight> sights_;  // of groups_
  std::optional<std::int64_t> window_;
};

}  // namespace striate
