#include "striate/gguf/names.h"

#include <array>
#include <charconv>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

struct Pair {
  std::string_view canonical;
  std::string_view gguf;
};

constexpr std::array kOutsideLayers = {
    Pair{"model.embed_tokens", "token_embd"},
    Pair{"model.norm", "output_norm"},
    Pair{"lm_head", "output"},
    Pair{"vision.embeddings.patch_embedding", "v.patch_embd"},
    Pair{"vision.embeddings.position_embedding", "v.position_embd"},
    Pair{"vision.pre_layrnorm", "v.pre_ln"},
    Pair{"projector.0", "mm.0"},
    Pair{"projector.2", "mm.2"},
};

constexpr std::array kDecoderLayer = {
    Pair{"input_layernorm", "attn_norm"},    Pair{"post_attention_layernorm", "ffn_norm"},
    Pair{"self_attn.q_proj", "attn_q"},      Pair{"self_attn.k_proj", "attn_k"},
    Pair{"self_attn.v_proj", "attn_v"},      Pair{"self_attn.qkv_proj", "attn_qkv"},
    Pair{"self_attn.o_proj", "attn_output"}, Pair{"mlp.gate_proj", "ffn_gate"},
    Pair{"mlp.up_proj", "ffn_up"},           Pair{"mlp.gate_up_proj", "ffn_up"},
    Pair{"mlp.down_proj", "ffn_down"},
};

constexpr std::array kVisionLayer = {
    Pair{"layer_norm1", "ln1"},         Pair{"layer_norm2", "ln2"},         Pair{"self_attn.q_proj", "attn_q"},
    Pair{"self_attn.k_proj", "attn_k"}, Pair{"self_attn.v_proj", "attn_v"}, Pair{"self_attn.out_proj", "attn_out"},
    Pair{"mlp.fc1", "ffn_up"},          Pair{"mlp.fc2", "ffn_down"},
};

constexpr std::string_view kDecoderPrefix = "model.layers.";
constexpr std::string_view kVisionPrefix = "vision.encoder.layers.";

template <std::size_t N>
std::optional<std::string> translate(const std::array<Pair, N>& pairs, std::string_view module) {
  for (const Pair& pair : pairs) {
    if (pair.canonical == module) return std::string(pair.gguf);
  }
  return std::nullopt;
}

// "3.self_attn.q_proj" -> {3, "self_attn.q_proj"}.
std::pair<std::int64_t, std::string_view> split_layer(std::string_view rest) {
  std::int64_t layer = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  const auto used = static_cast<std::size_t>(end - rest.data());
  if (error != std::errc() || used >= rest.size() || rest[used] != '.') return {-1, {}};
  return {layer, rest.substr(used + 1)};
}

std::int64_t heads_to_interleave(std::string_view module, const DecoderConfig& config) {
  if (config.kind != DecoderKind::kLlama) return 0;
  if (module == "self_attn.q_proj") return config.heads;
  return module == "self_attn.k_proj" ? config.kv_heads : 0;
}

}  // namespace

std::optional<GgufName> gguf_name(const std::string& canonical, const ModelConfig& config) {
  if (canonical == "vision.embeddings.class_embedding") return GgufName{"v.class_embd", GgufPart::kVision};
  const std::string_view name = canonical;
  const std::size_t dot = name.rfind('.');
  const std::string_view kind = name.substr(dot == std::string_view::npos ? name.size() : dot);  // .weight, .bias
  const std::string_view module = name.substr(0, name.size() - kind.size());
  const bool vision = name.starts_with("vision.") || name.starts_with("projector.");
  GgufName made{{}, vision ? GgufPart::kVision : GgufPart::kText};
  if (name.starts_with(kDecoderPrefix)) {
    const auto [layer, inner] = split_layer(module.substr(kDecoderPrefix.size()));
    const auto translated = translate(kDecoderLayer, inner);
    if (!translated) throw internal_error(cat(canonical, " has no name in GGUF"));
    made.name = cat("blk.", layer, ".", *translated, kind);
    made.interleaved_heads = heads_to_interleave(inner, config.decoder);
    return made;
  }
  if (name.starts_with(kVisionPrefix)) {
    const auto [layer, inner] = split_layer(module.substr(kVisionPrefix.size()));
    const auto translated = translate(kVisionLayer, inner);
    if (!translated) throw internal_error(cat(canonical, " has no name in GGUF"));
    if (!config.vision || layer >= config.vision->layers_run()) return std::nullopt;
    made.name = cat("v.blk.", layer, ".", *translated, kind);
    return made;
  }
  if (module == "vision.post_layernorm") return std::nullopt;
  const auto translated = translate(kOutsideLayers, module);
  if (!translated) throw internal_error(cat(canonical, " has no name in GGUF"));
  made.name = cat(*translated, kind);
  return made;
}

at::Tensor interleave_heads(const at::Tensor& rows, std::int64_t heads) {
  if (heads == 0) return rows;
  const std::int64_t half = rows.size(0) / heads / 2;
  return rows.reshape({heads, 2, half, -1}).transpose(1, 2).reshape(rows.sizes());
}

at::Tensor separate_heads(const at::Tensor& rows, std::int64_t heads) {
  if (heads == 0) return rows;
  const std::int64_t half = rows.size(0) / heads / 2;
  return rows.reshape({heads, half, 2, -1}).transpose(1, 2).reshape(rows.sizes());
}

}  // namespace striate
