#include "striate/model/lvlm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>

#include "striate/base/error.h"
#include "striate/tensor/upload.h"

namespace striate {

Lvlm::Lvlm(ModelConfig config, const WeightSource& weights, const Placement& placement)
    : config_(std::move(config)), placement_(placement), decoder_(weights, config_.decoder, placement) {
  if (config_.vision) tower_.emplace(weights, *config_.vision, placement);
  if (config_.projector) projector_.emplace(weights, *config_.projector, placement);
}

Lvlm Lvlm::without_layers(const LayerSet& removed) const {
  Lvlm pruned = *this;
  pruned.decoder_.remove_layers(removed);
  pruned.config_.decoder.layers = pruned.decoder_.config().layers;
  return pruned;
}

at::Tensor Lvlm::vision_features(const at::Tensor& pixels) const {
  const at::NoGradGuard no_grad;
  if (!tower_) throw invalid_input("this model has no vision tower and cannot read images", "leave out `image`");
  return tower_->forward(pixels);
}

at::Tensor Lvlm::project(const at::Tensor& features) const {
  const at::NoGradGuard no_grad;
  if (!projector_) throw invalid_input("this model has no projector and cannot read images", "leave out `image`");
  return projector_->forward(features);
}

at::Tensor Lvlm::embed(const PackedBatch& batch) const {
  const at::NoGradGuard no_grad;
  at::Tensor x = decoder_.embed(batch.token_ids);
  if (batch.image_features.defined()) {
    x.index_copy_(0, uploaded(batch.image_slots, x.device()), project(batch.image_features));
  }
  return x;
}

at::Tensor Lvlm::forward(const PackedBatch& batch, Attention& attention, const StreamObserver& observer) const {
  const at::NoGradGuard no_grad;
  return decoder_.forward(embed(batch), batch.positions, attention, observer);
}

at::Tensor Lvlm::forward(const PackedBatch& batch, const StreamObserver& observer) const {
  StreamAttention attention(batch.cu_seqlens, config_.decoder.sliding_window);
  return forward(batch, attention, observer);
}

at::Tensor Lvlm::logits(const at::Tensor& rows) const {
  const at::NoGradGuard no_grad;
  return decoder_.head(decoder_.final_norm(rows));
}

at::Tensor Lvlm::target_nll(const at::Tensor& stream, const PackedBatch& batch) const {
  const at::NoGradGuard no_grad;
  constexpr std::int64_t kChunk = 512;  // rows of logits alive at once
  const at::Tensor slots = uploaded(batch.target_slots, stream.device());
  const at::Tensor targets = uploaded(batch.targets, stream.device());
  std::vector<at::Tensor> parts;
  for (std::int64_t begin = 0; begin < slots.size(0); begin += kChunk) {
    const at::Tensor rows = stream.index_select(0, slots.slice(0, begin, begin + kChunk));
    parts.push_back(
        at::cross_entropy_loss(logits(rows), targets.slice(0, begin, begin + kChunk), {}, at::Reduction::None));
  }
  return parts.empty() ? at::empty({0}, stream.options().dtype(at::kFloat)) : at::cat(parts);
}

}  // namespace striate
