// The language model's decoder: Llama and Phi-3 layers on a packed stream.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/model/attention.h"
#include "striate/model/config.h"
#include "striate/model/decoder_layer.h"
#include "striate/model/layer_set.h"
#include "striate/model/linear.h"
#include "striate/model/placement.h"
#include "striate/model/rotary.h"
#include "striate/model/weight.h"
#include "striate/model/weight_source.h"

namespace striate {

// Called with (0, embeddings), then (i + 1, raw output of layer i), [N, hidden]: the residual stream before the final
// norm.
using StreamObserver = std::function<void(std::int64_t, const at::Tensor&)>;

// Embedding, layers, final norm and head.
class Decoder {
 public:
  Decoder(const WeightSource& weights, const DecoderConfig& config, const Placement& placement);

  // token_ids [N] int64 -> [N, hidden]. Ids below zero (image slots) give zero rows. Throws InvalidInput for an id
  // outside the vocabulary.
  at::Tensor embed(const at::Tensor& token_ids) const;
  // x [N, hidden] and positions [N] -> the residual stream after the last layer, [N, hidden], before the final norm.
  at::Tensor forward(at::Tensor x, const at::Tensor& positions, Attention& attention,
                     const StreamObserver& observer = {}) const;
  // Final RMSNorm, [N, hidden].
  at::Tensor final_norm(const at::Tensor& x) const;
  // Logits of already normalised rows: [K, hidden] -> [K, vocab] fp32.
  at::Tensor head(const at::Tensor& normed) const;

  // The rotary angles of positions [N].
  RotaryAngles angles(const at::Tensor& positions) const { return rotary_.at(positions); }

  // Takes layers out: the others move down, and attention sees them by their new numbers. Throws Internal for layers
  // there are not, or when none would be left.
  void remove_layers(const LayerSet& removed);

  const DecoderConfig& config() const { return config_; }
  std::vector<DecoderLayer>& layers() { return layers_; }
  const std::vector<DecoderLayer>& layers() const { return layers_; }
  Weight& embedding() { return embedding_; }  // [vocab, hidden]
  const Weight& embedding() const { return embedding_; }
  Weight& norm() { return norm_; }  // the final one, [hidden] fp32
  const Weight& norm() const { return norm_; }
  const Linear& head_linear() const { return *head_; }  // [vocab, hidden]
  void replace_head(std::shared_ptr<const Linear> head) { head_ = std::move(head); }

 private:
  DecoderConfig config_;
  Placement placement_;
  Weight embedding_;  // [vocab, hidden], the file's dtype
  RotaryTable rotary_;
  std::vector<DecoderLayer> layers_;
  Weight norm_;
  std::shared_ptr<const Linear> head_;
};

}  // namespace striate
