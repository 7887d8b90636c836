#include "striate/model/tensor_list.h"

#include "striate/base/strings.h"
#include "striate/model/decoder.h"

namespace striate {
namespace {

using Shape = std::vector<std::int64_t>;

void add_decoder(std::vector<TensorSpec>& list, const DecoderConfig& c) {
  const auto add = [&](const std::string& name, Shape shape, std::int64_t layer = -1) {
    list.push_back({name, std::move(shape), Part::kDecoder, layer});
  };
  add("model.embed_tokens.weight", {c.vocab_size, c.hidden_size});
  for (std::int64_t i = 0; i < c.layers; ++i) {
    const std::string prefix = cat("model.layers.", i, ".");
    for (const LinearShape& shape : decoder_linears(c)) {
      add(cat(prefix, shape.name, ".weight"), {shape.out, shape.in}, i);
      if (shape.bias) add(cat(prefix, shape.name, ".bias"), {shape.out}, i);
    }
    add(prefix + "input_layernorm.weight", {c.hidden_size}, i);
    add(prefix + "post_attention_layernorm.weight", {c.hidden_size}, i);
  }
  add("model.norm.weight", {c.hidden_size});
  if (!c.tie_embeddings) add("lm_head.weight", {c.vocab_size, c.hidden_size});
}

void add_vision(std::vector<TensorSpec>& list, const VisionConfig& c) {
  const auto add = [&](const std::string& name, Shape shape, std::int64_t layer = -1) {
    list.push_back({"vision." + name, std::move(shape), Part::kVisionTower, layer});
  };
  const auto add_pair = [&](const std::string& name, Shape shape, std::int64_t layer = -1) {
    add(name + ".bias", {shape.front()}, layer);
    add(name + ".weight", std::move(shape), layer);
  };
  const std::int64_t hidden = c.hidden_size;
  const bool clip = c.kind == TowerKind::kClip;
  if (clip) add("embeddings.class_embedding", {hidden});
  add("embeddings.patch_embedding.weight", {hidden, c.channels, c.patch_size, c.patch_size});
  if (!clip) add("embeddings.patch_embedding.bias", {hidden});
  add("embeddings.position_embedding.weight", {c.grid() * c.grid() + (clip ? 1 : 0), hidden});
  if (clip) add_pair("pre_layrnorm", {hidden});
  for (std::int64_t i = 0; i < c.layers; ++i) {
    const std::string prefix = cat("encoder.layers.", i, ".");
    for (const char* name : {"self_attn.k_proj", "self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj"}) {
      add_pair(prefix + name, {hidden, hidden}, i);
    }
    add_pair(prefix + "layer_norm1", {hidden}, i);
    add_pair(prefix + "mlp.fc1", {c.mlp_size, hidden}, i);
    add_pair(prefix + "mlp.fc2", {hidden, c.mlp_size}, i);
    add_pair(prefix + "layer_norm2", {hidden}, i);
  }
  add_pair("post_layernorm", {hidden});
}

}  // namespace

std::int64_t TensorSpec::numel() const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::vector<TensorSpec> expected_tensors(const ModelConfig& config) {
  std::vector<TensorSpec> list;
  add_decoder(list, config.decoder);
  if (config.vision) add_vision(list, *config.vision);
  if (config.projector) {
    for (std::int64_t i = 0; i < config.projector->depth; ++i) {
      const std::string name = cat("projector.", 2 * i);
      const std::int64_t in = i == 0 ? config.projector->in_size : config.projector->out_size;
      list.push_back({name + ".weight", {config.projector->out_size, in}, Part::kProjector, -1});
      list.push_back({name + ".bias", {config.projector->out_size}, Part::kProjector, -1});
    }
  }
  return list;
}

}  // namespace striate
