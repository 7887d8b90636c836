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
#include "striate/model/linear.h"
#include "striate/model/placement.h"
#include "striate/model/weight_source.h"

namespace striate {

// One linear of a decoder layer as published.
struct LinearShape {
  const char* name;  // inside the layer, without `.weight`: self_attn.q_proj
  std::int64_t out;
  std::int64_t in;
  bool bias;
};

// The linears of every layer: Llama's seven, or Phi-3's four fused ones.
std::vector<LinearShape> decoder_linears(const DecoderConfig& config);

// Cosines and sines of the rotary angles of some positions, [N, head_dim / 2] fp32 each.
struct RotaryAngles {
  at::Tensor cos;
  at::Tensor sin;
};

// The rotary frequencies of a decoder (Su et al., arXiv 2104.09864; transformers' modeling_rope_utils for scaling).
class RotaryTable {
 public:
  RotaryTable(const DecoderConfig& config, at::Device device);
  // positions [N] int64.
  RotaryAngles at(const at::Tensor& positions) const;

 private:
  at::Tensor frequencies_;  // [head_dim / 2] fp32
};

// One decoder block: pre-norm attention, pre-norm gated MLP, each added to the residual stream.
class DecoderLayer {
 public:
  DecoderLayer(const WeightSource& weights, const DecoderConfig& config, std::int64_t index,
               const Placement& placement);

  // x [N, hidden] -> [N, hidden], both in the compute type.
  at::Tensor forward(const at::Tensor& x, const RotaryAngles& angles, Attention& attention) const;

  // The linears of the block as published: self_attn.{q,k,v,o}_proj, mlp.{gate,up,down}_proj, or Phi-3's
  // self_attn.{qkv,o}_proj, mlp.{gate_up,down}_proj. Name without `.weight`.
  const std::vector<std::pair<std::string, std::shared_ptr<const Linear>>>& linears() const { return linears_; }
  // Puts another linear (an adapter around the same matrix) in the place of `name`. Throws Internal for other names.
  void replace_linear(const std::string& name, std::shared_ptr<const Linear> linear);

 private:
  const Linear& linear(std::size_t slot) const { return *linears_[slot].second; }
  at::Tensor attention_block(const at::Tensor& x, const RotaryAngles& angles, Attention& attention) const;
  at::Tensor mlp_block(const at::Tensor& x) const;

  DecoderConfig config_;
  std::int64_t index_;
  Placement placement_;
  at::Tensor input_norm_;      // [hidden] fp32
  at::Tensor post_attn_norm_;  // [hidden] fp32
  std::vector<std::pair<std::string, std::shared_ptr<const Linear>>> linears_;
};

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

  const DecoderConfig& config() const { return config_; }
  std::vector<DecoderLayer>& layers() { return layers_; }
  const std::vector<DecoderLayer>& layers() const { return layers_; }

 private:
  DecoderConfig config_;
  Placement placement_;
  at::Tensor embedding_;  // [vocab, hidden], the file's dtype
  RotaryTable rotary_;
  std::vector<DecoderLayer> layers_;
  at::Tensor norm_;  // [hidden] fp32
  FrozenMatrix head_;
};

}  // namespace striate
