#include "striate/model/decoder_layer.h"

#include <ATen/TensorOperators.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/train_ops.h"

namespace striate {

std::vector<LinearShape> decoder_linears(const DecoderConfig& c) {
  const std::int64_t q = c.heads * c.head_dim;
  const std::int64_t kv = c.kv_heads * c.head_dim;
  if (c.kind == DecoderKind::kPhi3) {
    return {{"self_attn.qkv_proj", q + 2 * kv, c.hidden_size, false},
            {"self_attn.o_proj", c.hidden_size, q, false},
            {"mlp.gate_up_proj", 2 * c.mlp_size, c.hidden_size, false},
            {"mlp.down_proj", c.hidden_size, c.mlp_size, false}};
  }
  return {{"self_attn.q_proj", q, c.hidden_size, c.attention_bias},
          {"self_attn.k_proj", kv, c.hidden_size, c.attention_bias},
          {"self_attn.v_proj", kv, c.hidden_size, c.attention_bias},
          {"self_attn.o_proj", c.hidden_size, q, c.attention_bias},
          {"mlp.gate_proj", c.mlp_size, c.hidden_size, c.mlp_bias},
          {"mlp.up_proj", c.mlp_size, c.hidden_size, c.mlp_bias},
          {"mlp.down_proj", c.hidden_size, c.mlp_size, c.mlp_bias}};
}

DecoderLayer::DecoderLayer(const WeightSource& weights, const DecoderConfig& config, std::int64_t index,
                           const Placement& placement)
    : config_(config), index_(index), placement_(placement) {
  const std::string prefix = cat("model.layers.", index, ".");
  const std::vector<std::int64_t> width = {config.hidden_size};
  input_norm_ = Weight(placement.vector(weights.load(prefix + "input_layernorm.weight", width)));
  post_attention_norm_ = Weight(placement.vector(weights.load(prefix + "post_attention_layernorm.weight", width)));
  for (const LinearShape& shape : decoder_linears(config)) {
    at::Tensor bias;
    if (shape.bias) bias = placement.vector(weights.load(cat(prefix, shape.name, ".bias"), {shape.out}));
    const std::string name = cat(prefix, shape.name, ".weight");
    const at::Tensor stored = weights.load(name, {shape.out, shape.in});
    linears_.emplace_back(shape.name,
                          std::make_shared<FrozenLinear>(placement.layer_matrix(index, name, stored, bias)));
  }
}

void DecoderLayer::replace_linear(const std::string& name, std::shared_ptr<const Linear> linear) {
  for (auto& [known, current] : linears_) {
    if (known != name) continue;
    current = std::move(linear);
    return;
  }
  throw internal_error(cat("layer ", index_, " has no linear ", name));
}

at::Tensor DecoderLayer::forward(const at::Tensor& x, const RotaryAngles& angles, Attention& attention) const {
  const at::Tensor normed = rms_norm(x, input_norm_.value(), config_.rms_eps);
  const SumAndNorm middle =
      add_rms_norm(x, attention_block(normed, angles, attention), post_attention_norm_.value(), config_.rms_eps);
  return middle.sum + mlp_block(middle.normed);
}

DecoderLayer::Heads DecoderLayer::split_heads(const std::vector<at::Tensor>& projected, const RotaryAngles& angles,
                                              const RowChoice* choice) const {
  const std::int64_t q_width = config_.heads * config_.head_dim;
  const std::int64_t kv_width = config_.kv_heads * config_.head_dim;
  const auto heads = [&](const at::Tensor& t, std::int64_t count) {
    return t.unflatten(1, {count, config_.head_dim});  // [N, heads, head_dim]
  };
  const bool joined = projected.size() == 1;
  const auto part = [&](std::size_t i, std::int64_t begin, std::int64_t width) {
    return joined ? projected[0].slice(1, begin, begin + width) : projected[i];
  };
  Heads result{heads(part(0, 0, q_width), config_.heads), heads(part(1, q_width, kv_width), config_.kv_heads),
               heads(part(2, q_width + kv_width, kv_width), config_.kv_heads)};
  if (joined && choice != nullptr) result.q = result.q.index_select(0, choice->rows);
  const RotaryAngles& q_angles = choice == nullptr ? angles : choice->angles;
  rotate_heads(result.q, q_angles.cos, q_angles.sin);
  rotate_heads(result.k, angles.cos, angles.sin);
  return result;
}

at::Tensor DecoderLayer::attention_block(const at::Tensor& x, const RotaryAngles& angles, Attention& attention) const {
  const Compute compute = placement_.compute;
  std::vector<at::Tensor> projected;
  for (std::size_t slot = 0; slot < output_slot(); ++slot) projected.push_back(linear(slot).forward(x, compute));
  const Heads heads = split_heads(projected, angles);
  const at::Tensor mixed = attention.attend(index_, heads.q, heads.k, heads.v);
  return linear(output_slot()).forward(mixed.flatten(1), compute);
}

at::Tensor DecoderLayer::mlp_block(const at::Tensor& x) const {
  const Compute compute = placement_.compute;
  at::Tensor inner;
  if (fused()) {
    const at::Tensor both = linear(gate_slot()).forward(x, compute);
    inner = silu_multiply(both.slice(1, 0, config_.mlp_size), both.slice(1, config_.mlp_size));
  } else {
    inner = silu_multiply(linear(gate_slot()).forward(x, compute), linear(gate_slot() + 1).forward(x, compute));
  }
  return linear(down_slot()).forward(inner, compute);
}

}  // namespace striate
