#include "striate/infer/sequence_pass.h"

#include <ATen/ops/cat.h>

#include <cmath>
#include <numeric>

#include "striate/tensor/fused_ops.h"

namespace striate {

SequencePass::SequencePass(std::vector<NewTokens> parts, std::optional<std::int64_t> window)
    : parts_(std::move(parts)), window_(window) {
  std::int64_t row = 0;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const Group::Kind kind = kind_of(parts_[i]);
    const bool joins = !groups_.empty() && groups_.back().kind == kind && kind != Group::Kind::kContinuing;
    if (!joins) groups_.push_back({i, i, row, row, kind});
    row += parts_[i].count;
    groups_.back().last = i + 1;
    groups_.back().row_end = row;
  }
}

SequencePass::Group::Kind SequencePass::kind_of(const NewTokens& part) {
  if (part.cache->length() == 0) return Group::Kind::kFresh;
  return part.count == 1 ? Group::Kind::kDecoding : Group::Kind::kContinuing;
}

at::Tensor SequencePass::decode(const Group& group, std::int64_t layer, const at::Tensor& q) const {
  std::vector<CachedTokens> sequences;
  for (std::size_t i = group.first; i < group.last; ++i) {
    const KvCache& cache = *parts_[i].cache;
    const std::int64_t end = cache.length() + 1;
    const std::int64_t begin = window_ ? std::max<std::int64_t>(0, end - 1 - *window_) : 0;
    sequences.push_back({cache.keys(layer), cache.values(layer), begin, end});
  }
  return decode_attention(q, sequences, 1.0 / std::sqrt(static_cast<double>(q.size(2))));
}

at::Tensor SequencePass::continue_prompt(const NewTokens& part, std::int64_t layer, const at::Tensor& q) const {
  const std::int64_t past = part.cache->length();
  const std::int64_t total = past + part.count;
  StreamQueries queries;
  queries.places.resize(static_cast<std::size_t>(part.count));
  std::iota(queries.places.begin(), queries.places.end(), static_cast<std::int32_t>(past));
  queries.bounds = {0, part.count};
  const auto tokens_first = [&](const at::Tensor& cache) { return cache.slice(1, 0, total).transpose(0, 1); };
  return stream_attention(q, tokens_first(part.cache->keys(layer)), tokens_first(part.cache->values(layer)),
                          {{0, total}, window_}, &queries)
      .out;
}

StreamShape SequencePass::fresh_shape(const Group& group) const {
  StreamShape shape{{0}, window_};
  for (std::size_t i = group.first; i < group.last; ++i) shape.bounds.push_back(shape.bounds.back() + parts_[i].count);
  return shape;
}

at::Tensor SequencePass::attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  std::int64_t row = 0;
  for (const NewTokens& part : parts_) {
    part.cache->put(layer, k.slice(0, row, row + part.count), v.slice(0, row, row + part.count));
    row += part.count;
  }
  std::vector<at::Tensor> outs;
  for (const Group& group : groups_) {
    const auto rows = [&](const at::Tensor& x) { return x.slice(0, group.row_begin, group.row_end); };
    switch (group.kind) {
      case Group::Kind::kDecoding:
        outs.push_back(decode(group, layer, rows(q)));
        break;
      case Group::Kind::kContinuing:
        outs.push_back(continue_prompt(parts_[group.first], layer, rows(q)));
        break;
      case Group::Kind::kFresh:
        outs.push_back(stream_attention(rows(q), rows(k), rows(v), fresh_shape(group)).out);
        break;
    }
  }
  return outs.size() == 1 ? outs.front() : at::cat(outs);
}

void SequencePass::finish() {
  for (const NewTokens& part : parts_) part.cache->advance(part.count);
}

}  // namespace striate
