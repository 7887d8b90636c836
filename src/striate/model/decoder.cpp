#include "striate/model/decoder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <numbers>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"

namespace striate {
namespace {

// Slots of DecoderLayer::linears_, per kind.
enum LlamaSlot : std::size_t { kQ, kK, kV, kO, kGate, kUp, kDown };
enum Phi3Slot : std::size_t { kQkv, kFusedO, kGateUp, kFusedDown };

// Llama 3.1's frequencies (transformers _compute_llama3_parameters): long waves are slowed by `factor`, short ones
// kept, those between blended.
at::Tensor llama3_frequencies(const at::Tensor& base, const RopeScaling& scaling) {
  const at::Tensor wavelength = 2.0 * std::numbers::pi / base;
  const double low_wavelength = scaling.original_positions / scaling.low_freq_factor;
  const double high_wavelength = scaling.original_positions / scaling.high_freq_factor;
  const at::Tensor smooth = (scaling.original_positions / wavelength - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor blended = (1.0 - smooth) * base / scaling.factor + smooth * base;
  const at::Tensor slowed = at::where(wavelength.gt(low_wavelength), base / scaling.factor, base);
  const at::Tensor between = wavelength.ge(high_wavelength).logical_and(wavelength.le(low_wavelength));
  return at::where(between, blended, slowed);
}

}  // namespace

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

RotaryTable::RotaryTable(const DecoderConfig& config, at::Device device) {
  const at::TensorOptions options(at::kFloat);
  const at::Tensor exponent = at::arange(0, config.head_dim, 2, options) / static_cast<double>(config.head_dim);
  at::Tensor frequencies = 1.0 / at::pow(config.rope_theta, exponent);
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeScaling::Kind::kLinear) frequencies = frequencies / scaling.factor;
  if (scaling.kind == RopeScaling::Kind::kLlama3) frequencies = llama3_frequencies(frequencies, scaling);
  frequencies_ = frequencies.to(device, at::kFloat);
}

RotaryAngles RotaryTable::at(const at::Tensor& positions) const {
  const at::Tensor angles = positions.to(frequencies_.device(), at::kFloat).unsqueeze(1) * frequencies_.unsqueeze(0);
  return {angles.cos(), angles.sin()};
}

DecoderLayer::DecoderLayer(const WeightSource& weights, const DecoderConfig& config, std::int64_t index,
                           const Placement& placement)
    : config_(config), index_(index), placement_(placement) {
  const std::string prefix = cat("model.layers.", index, ".");
  const std::vector<std::int64_t> width = {config.hidden_size};
  input_norm_ = placement.vector(weights.load(prefix + "input_layernorm.weight", width));
  post_attn_norm_ = placement.vector(weights.load(prefix + "post_attention_layernorm.weight", width));
  for (const LinearShape& shape : decoder_linears(config)) {
    at::Tensor bias;
    if (shape.bias) bias = placement.vector(weights.load(cat(prefix, shape.name, ".bias"), {shape.out}));
    const at::Tensor weight = placement.weight(weights.load(cat(prefix, shape.name, ".weight"), {shape.out, shape.in}));
    linears_.emplace_back(shape.name, std::make_shared<FrozenLinear>(FrozenMatrix(weight, bias)));
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
  const at::Tensor middle = x + attention_block(rms_norm(x, input_norm_, config_.rms_eps), angles, attention);
  return middle + mlp_block(rms_norm(middle, post_attn_norm_, config_.rms_eps));
}

at::Tensor DecoderLayer::attention_block(const at::Tensor& x, const RotaryAngles& angles, Attention& attention) const {
  const Compute compute = placement_.compute;
  const std::int64_t tokens = x.size(0);
  const std::int64_t q_width = config_.heads * config_.head_dim;
  const std::int64_t kv_width = config_.kv_heads * config_.head_dim;
  at::Tensor q, k, v;
  const bool fused = config_.kind == DecoderKind::kPhi3;
  if (fused) {
    const at::Tensor qkv = linear(kQkv).forward(x, compute);
    q = qkv.slice(1, 0, q_width);
    k = qkv.slice(1, q_width, q_width + kv_width);
    v = qkv.slice(1, q_width + kv_width);
  } else {
    q = linear(kQ).forward(x, compute);
    k = linear(kK).forward(x, compute);
    v = linear(kV).forward(x, compute);
  }
  const auto heads = [&](const at::Tensor& t, std::int64_t count) {
    return t.unflatten(1, {count, config_.head_dim});  // [N, heads, head_dim]
  };
  q = rotate_heads(heads(q, config_.heads), angles.cos, angles.sin);
  k = rotate_heads(heads(k, config_.kv_heads), angles.cos, angles.sin);
  const at::Tensor mixed = attention.attend(index_, q, k, heads(v, config_.kv_heads));
  return linear(fused ? std::size_t{kFusedO} : std::size_t{kO}).forward(mixed.reshape({tokens, q_width}), compute);
}

at::Tensor DecoderLayer::mlp_block(const at::Tensor& x) const {
  const Compute compute = placement_.compute;
  if (config_.kind == DecoderKind::kPhi3) {
    const at::Tensor both = linear(kGateUp).forward(x, compute);
    const at::Tensor inner = silu_multiply(both.slice(1, 0, config_.mlp_size), both.slice(1, config_.mlp_size));
    return linear(kFusedDown).forward(inner, compute);
  }
  const at::Tensor inner = silu_multiply(linear(kGate).forward(x, compute), linear(kUp).forward(x, compute));
  return linear(kDown).forward(inner, compute);
}

Decoder::Decoder(const WeightSource& weights, const DecoderConfig& config, const Placement& placement)
    : config_(config), placement_(placement), rotary_(config, placement.device) {
  const std::vector<std::int64_t> table = {config.vocab_size, config.hidden_size};
  embedding_ = placement.weight(weights.load("model.embed_tokens.weight", table));
  layers_.reserve(static_cast<std::size_t>(config.layers));
  for (std::int64_t i = 0; i < config.layers; ++i) layers_.emplace_back(weights, config, i, placement);
  norm_ = placement.vector(weights.load("model.norm.weight", {config.hidden_size}));
  head_ = FrozenMatrix(config.tie_embeddings ? embedding_ : placement.weight(weights.load("lm_head.weight", table)));
}

at::Tensor Decoder::embed(const at::Tensor& token_ids) const {
  if (token_ids.numel() > 0 && token_ids.max().item<std::int64_t>() >= config_.vocab_size) {
    throw invalid_input(cat("token id ", token_ids.max().item<std::int64_t>(), " is outside the model's vocabulary of ",
                            config_.vocab_size),
                        "the tokenizer belongs to another model");
  }
  const at::Tensor is_text = token_ids.ge(0).to(placement_.device);
  const at::Tensor rows = embedding_.index_select(0, token_ids.clamp_min(0).to(placement_.device));
  return placement_.activation(rows).mul_(is_text.unsqueeze(1));
}

at::Tensor Decoder::forward(at::Tensor x, const at::Tensor& positions, Attention& attention,
                            const StreamObserver& observer) const {
  const RotaryAngles angles = rotary_.at(positions);
  if (observer) observer(0, x);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    x = layers_[i].forward(x, angles, attention);
    if (observer) observer(static_cast<std::int64_t>(i) + 1, x);
  }
  return x;
}

at::Tensor Decoder::final_norm(const at::Tensor& x) const {
  return rms_norm(x, norm_, config_.rms_eps);
}

at::Tensor Decoder::head(const at::Tensor& normed) const {
  return head_.multiply(normed, placement_.compute).to(at::kFloat);
}

}  // namespace striate
