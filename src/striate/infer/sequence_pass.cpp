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
  for (const Group& group : groups_) sights_.push_back(sight_of(group));
}

bool SequencePass::has_flash(const NewTokens& part) {
  return flash_takes(part.cache->keys(0));
}

SequencePass::Group::Kind SequencePass::kind_of(const NewTokens& part) {
  if (part.cache->length() == 0) return Group::Kind::kFresh;
  return part.count == 1 && !has_flash(part) ? Group::Kind::kDecoding : Group::Kind::kContinuing;
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

SequencePass::Sight SequencePass::sight_of(const Group& group) const {
  Sight sight;
  const NewTokens& part = parts_[group.first];
  sight.shape = {{0}, window_};
  StreamQueries& queries = sight.queries;
  if (group.kind == Group::Kind::kFresh) {
    std::vector<std::int64_t>& bounds = sight.shape.bounds;
    for (std::size_t i = group.first; i < group.last; ++i) bounds.push_back(bounds.back() + parts_[i].count);
  } else if (group.kind == Group::Kind::kContinuing) {
    const std::int64_t past = part.cache->length();
    sight.shape.bounds.push_back(past + part.count);
    queries.places.resize(static_cast<std::size_t>(part.count));
    std::iota(queries.places.begin(), queries.places.end(), static_cast<std::int32_t>(past));
    queries.bounds = {0, part.count};
  }
  if (!has_flash(part)) return sight;
  const at::Device device = part.cache->keys(0).device();
  sight.shape.on_device = device_bounds(sight.shape.bounds, device);
  if (!queries.bounds.empty()) queries.on_device = device_bounds(queries.bounds, device);
  return sight;
}

at::Tensor SequencePass::continue_prompt(std::size_t group, std::int64_t layer, const at::Tensor& q) const {
  const KvCache& cache = *parts_[groups_[group].first].cache;
  const Sight& sight = sights_[group];
  const auto tokens_first = [&](const at::Tensor& cached) {
    return cached.slice(1, 0, sight.shape.bounds.back()).transpose(0, 1);
  };
  return stream_attention(q, tokens_first(cache.keys(layer)), tokens_first(cache.values(layer)), sight.shape,
                          &sight.queries)
      .out;
}

at::Tensor SequencePass::attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  std::int64_t row = 0;
  for (const NewTokens& part : parts_) {
    part.cache->put(layer, k.slice(0, row, row + part.count), v.slice(0, row, row + part.count));
    row += part.count;
  }
  std::vector<at::Tensor> outs;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const Group& group = groups_[i];
    const auto rows = [&](const at::Tensor& x) { return x.slice(0, group.row_begin, group.row_end); };
    switch (group.kind) {
      case Group::Kind::kDecoding:
        outs.push_back(decode(group, layer, rows(q)));
        break;
      case Group::Kind::kContinuing:
        outs.push_back(continue_prompt(i, layer, rows(q)));
        break;
      case Group::Kind::kFresh:
        outs.push_back(stream_attention(rows(q), rows(k), rows(v), sights_[i].shape).out);
        break;
    }
  }
  return outs.size() == 1 ? outs.front() : at::cat(outs);
}

void SequencePass::finish() {
  for (const NewTokens& part : parts_) part.cache->advance(part.count);
}

}  // namespace striate
