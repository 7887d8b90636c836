#include "striate/model/decoder.h"

#include <ATen/TensorOperators.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/upload.h"

namespace striate {

Decoder::Decoder(const WeightSource& weights, const DecoderConfig& config, const Placement& placement)
    : config_(config), placement_(placement), rotary_(config, placement.device) {
  const std::vector<std::int64_t> table = {config.vocab_size, config.hidden_size};
  embedding_ = Weight(placement.weight(weights.load("model.embed_tokens.weight", table)));
  layers_.reserve(static_cast<std::size_t>(config.layers));
  for (std::int64_t i = 0; i < config.layers; ++i) layers_.emplace_back(weights, config, i, placement);
  norm_ = Weight(placement.vector(weights.load("model.norm.weight", {config.hidden_size})));
  head_ = std::make_shared<FrozenLinear>(FrozenMatrix(
      config.tie_embeddings ? embedding_.value() : placement.weight(weights.load("lm_head.weight", table))));
}

at::Tensor Decoder::embed(const at::Tensor& token_ids) const {
  if (token_ids.numel() > 0 && token_ids.max().item<std::int64_t>() >= config_.vocab_size) {
    throw invalid_input(cat("token id ", token_ids.max().item<std::int64_t>(), " is outside the model's vocabulary of ",
                            config_.vocab_size),
                        "the tokenizer belongs to another model");
  }
  const at::Tensor is_text = token_ids.ge(0);
  const at::Tensor rows = embedding_.value().index_select(0, uploaded(token_ids.clamp_min(0), placement_.device));
  if (is_text.all().item<bool>()) return placement_.activation(rows);
  return placement_.activation(rows).mul_(uploaded(is_text, placement_.device).unsqueeze(1));
}

at::Tensor Decoder::forward(at::Tensor x, const at::Tensor& positions, Attention& attention,
                            const StreamObserver& observer) const {
  const RotaryAngles angles = rotary_.at(positions);
  if (observer) observer(0, x);
  at::Tensor delta;  // the stream is x + delta: the next norm adds them up
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerOutput output = layers_[i].forward(x, delta, angles, attention);
    const bool read = observer || i + 1 == layers_.size();
    x = read ? output.sum() : std::move(output.middle);
    delta = read ? at::Tensor() : std::move(output.delta);
    if (observer) observer(static_cast<std::int64_t>(i) + 1, x);
  }
  return x;
}

void Decoder::remove_layers(const LayerSet& removed) {
  if (removed.depth() != config_.layers) {
    throw internal_error(cat("layers of a decoder of ", removed.depth(), " are removed from one of ", config_.layers));
  }
  std::vector<DecoderLayer> kept;
  for (std::int64_t i = 0; i < config_.layers; ++i) {
    if (removed.contains(i)) continue;
    kept.push_back(layers_[static_cast<std::size_t>(i)]);
    kept.back().renumber(static_cast<std::int64_t>(kept.size()) - 1);
  }
  if (kept.empty()) throw internal_error("a decoder without layers");
  layers_ = std::move(kept);
  config_.layers = static_cast<std::int64_t>(layers_.size());
}

at::Tensor Decoder::final_norm(const at::Tensor& x) const {
  return rms_norm(x, norm_.value(), config_.rms_eps);
}

at::Tensor Decoder::head(const at::Tensor& normed) const {
  return head_->forward(normed, placement_.compute).to(at::kFloat);
}

}  // namespace striate
