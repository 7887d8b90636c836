#include "striate/gguf/metadata.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/rotary.h"

namespace striate {
namespace {

// llama.cpp's llama_ftype.
std::uint32_t file_type(GgufType type) {
  switch (type) {
    case GgufType::kFloat32:
      return 0;
    case GgufType::kFloat16:
      return 1;
    case GgufType::kQ8_0:
      return 7;
    case GgufType::kBFloat16:
      return 32;
  }
  throw internal_error("unknown GGUF type");
}

// "7.1B", "13B", "33M", "4.2K".
std::string size_label(std::uint64_t parameters) {
  constexpr double kThousand = 1000;
  auto value = static_cast<double>(parameters) / kThousand;
  const char* unit = "K";
  for (const char* larger : {"M", "B"}) {
    if (value < kThousand) break;
    value /= kThousand;
    unit = larger;
  }
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.1f" : "%.0f", value);
  return cat(text, unit);
}

// llama.cpp strips spaces after Phi-3's special tokens, as its tokenizer does, only where general.name says Phi-3.
std::string model_name(const std::string& name, DecoderKind kind) {
  if (kind != DecoderKind::kPhi3) return name;
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool says_so = lower.find("phi3") != std::string::npos || lower.find("phi-3") != std::string::npos;
  return says_so ? name : name + " (Phi-3)";
}

std::uint32_t u32(std::int64_t value) {
  return static_cast<std::uint32_t>(value);
}

GgufMetadata general(const std::string& architecture, const std::string& type, const std::string& name, GgufType file) {
  constexpr std::uint32_t kQuantizationVersion = 2;  // ggml's GGML_QNT_VERSION
  return {{"general.architecture", architecture},
          {"general.type", type},
          {"general.name", name},
          {"general.file_type", file_type(file)},
          {"general.quantization_version", kQuantizationVersion}};
}

}  // namespace

GgufMetadata gguf_text_metadata(const ModelConfig& config, const std::string& name, std::uint64_t parameters,
                                GgufType type) {
  const DecoderConfig& c = config.decoder;
  const bool phi3 = c.kind == DecoderKind::kPhi3;
  const std::string arch = phi3 ? "phi3" : "llama";
  GgufMetadata metadata = general(arch, "model", model_name(name, c.kind), type);
  const auto add = [&](const char* key, GgufValue value) {
    metadata.emplace_back(cat(arch, ".", key), std::move(value));
  };
  metadata.emplace_back("general.size_label", size_label(parameters));
  add("block_count", u32(c.layers));
  add("context_length", u32(c.max_positions));
  add("embedding_length", u32(c.hidden_size));
  add("feed_forward_length", u32(c.mlp_size));
  add("attention.head_count", u32(c.heads));
  add("attention.head_count_kv", u32(c.kv_heads));
  add("attention.layer_norm_rms_epsilon", static_cast<float>(c.rms_eps));
  add("attention.key_length", u32(c.head_dim));
  add("attention.value_length", u32(c.head_dim));
  add("rope.dimension_count", u32(c.head_dim));
  add("rope.freq_base", static_cast<float>(c.rope_theta));
  add("vocab_size", u32(c.vocab_size));
  if (c.rope_scaling.kind == RopeScaling::Kind::kLinear) {
    add("rope.scaling.type", std::string("linear"));
    add("rope.scaling.factor", static_cast<float>(c.rope_scaling.factor));
  }
  if (phi3) {
    add("rope.scaling.original_context_length", u32(c.max_positions));
    add("attention.sliding_window", u32(c.sliding_window.value_or(0)));
  }
  return metadata;
}

GgufMetadata gguf_vision_metadata(const ModelConfig& config, const PreprocessConfig& pixels, const std::string& name,
                                  GgufType type) {
  const VisionConfig& c = *config.vision;
  GgufMetadata metadata = general("clip", "mmproj", name, type);
  const auto add = [&](const char* key, GgufValue value) {
    metadata.emplace_back(cat("clip.vision.", key), std::move(value));
  };
  metadata.emplace_back("clip.has_vision_encoder", true);
  metadata.emplace_back("clip.has_llava_projector", true);
  metadata.emplace_back("clip.projector_type", std::string("mlp"));
  metadata.emplace_back("clip.use_gelu", c.activation == VisionActivation::kGeluTanh);  // else quick-GELU
  add("image_size", u32(c.image_size));
  add("patch_size", u32(c.patch_size));
  add("embedding_length", u32(c.hidden_size));
  add("feed_forward_length", u32(c.mlp_size));
  add("projection_dim", u32(config.projector->out_size));
  add("block_count", u32(c.layers_run()));
  add("attention.head_count", u32(c.heads));
  add("attention.layer_norm_epsilon", static_cast<float>(c.layer_norm_eps));
  add("image_mean", GgufArray(std::vector<float>(pixels.mean.begin(), pixels.mean.end())));
  add("image_std", GgufArray(std::vector<float>(pixels.std.begin(), pixels.std.end())));
  add("feature_layer", GgufArray(std::vector<std::int32_t>{static_cast<std::int32_t>(c.layers_run())}));
  return metadata;
}

std::optional<at::Tensor> gguf_rope_factors(const DecoderConfig& config) {
  if (config.rope_scaling.kind != RopeScaling::Kind::kLlama3) return std::nullopt;
  DecoderConfig plain = config;
  plain.rope_scaling = {};
  return RotaryTable(plain, at::kCPU).frequencies() / RotaryTable(config, at::kCPU).frequencies();
}

void require_gguf_support(const ModelConfig& config) {
  const DecoderConfig& decoder = config.decoder;
  const std::string hint = "export it with `format` hf";
  if (decoder.kind == DecoderKind::kPhi3 && decoder.heads * decoder.head_dim != decoder.hidden_size) {
    throw unsupported(
        cat("llama.cpp's Phi-3 needs heads that together are as wide as the hidden state, but this model has ",
            decoder.heads, " of ", decoder.head_dim, " and a width of ", decoder.hidden_size),
        hint);
  }
  if (!config.vision) return;
  const VisionConfig& vision = *config.vision;
  const std::string text_only = "leave out the vision tower with `no_mmproj`, or " + hint;
  if (!config.projector || config.projector->depth != 2) {
    throw unsupported("llama.cpp supports only projectors of the type mlp2x_gelu", text_only);
  }
  if (vision.keep_class_token) throw unsupported("llama.cpp drops the class token that this model keeps", text_only);
  if (vision.activation == VisionActivation::kGelu) {
    throw unsupported("llama.cpp has no exact GELU in vision towers of this kind", text_only);
  }
  if (vision.mlp_size == vision.hidden_size) {
    throw unsupported(cat("the vision tower's MLP is as wide as its hidden state (", vision.mlp_size,
                          "): llama.cpp cannot tell its two matrices apart"),
                      text_only);
  }
}

}  // namespace striate
