#include "striate/model/architectures.h"

#include <algorithm>
#include <cmath>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config_bounds.h"
#include "striate/model/config_writer.h"

namespace striate {
namespace {

DecoderConfig llama2(std::int64_t layers, std::int64_t hidden, std::int64_t heads, std::int64_t mlp) {
  DecoderConfig c;
  c.layers = layers;
  c.hidden_size = hidden;
  c.heads = c.kv_heads = heads;
  c.mlp_size = mlp;
  c.max_positions = 4096;
  c.rms_eps = 1e-5;
  c.bos_id = 1;
  c.eos_ids = {2};
  return c;
}

DecoderConfig llama3_8b() {
  DecoderConfig c = llama2(32, 4096, 32, 14336);
  c.kv_heads = 8;
  c.vocab_size = 128256;
  c.max_positions = 8192;
  c.rope_theta = 500000;
  c.bos_id = 128000;
  c.eos_ids = {128001};
  return c;
}

DecoderConfig phi3_mini() {
  DecoderConfig c = llama2(32, 3072, 32, 8192);
  c.kind = DecoderKind::kPhi3;
  c.head_dim = 96;
  c.vocab_size = 32064;
  c.sliding_window = 2047;
  c.eos_ids = {32000};
  c.pad_id = 32000;
  return c;
}

Architecture text_only(const std::string& name, const std::string& title, const DecoderConfig& decoder) {
  ModelConfig config;
  config.family = decoder.kind == DecoderKind::kPhi3 ? Family::kTextPhi3 : Family::kTextLlama;
  config.decoder = decoder;
  config.pad_to_square = false;
  return {name, title, config};
}

Architecture with_vision(const std::string& name, const std::string& title, Family family, const DecoderConfig& decoder,
                         const VisionConfig& vision) {
  ModelConfig config;
  config.family = family;
  config.decoder = decoder;
  config.vision = vision;
  config.projector = ProjectorConfig{2, vision.hidden_size, decoder.hidden_size};
  config.vision_tower_name = tower_folder_name(vision.kind);
  return {name, title, config};
}

std::vector<Architecture> all_architectures() {
  const DecoderConfig small = llama2(32, 4096, 32, 11008);
  const DecoderConfig large = llama2(40, 5120, 40, 13824);
  const VisionConfig clip;  // CLIP-L/14 at 336 pixels
  return {
      with_vision("llava-1.5-7b", "LLaVA-1.5, Vicuna 7B, CLIP-L/336", Family::kLlavaHf, small, clip),
      with_vision("llava-1.5-13b", "LLaVA-1.5, Vicuna 13B, CLIP-L/336", Family::kLlavaHf, large, clip),
      with_vision("bunny-llama3-8b", "Bunny, Llama-3 8B, SigLIP-so400m/384", Family::kBunnyLlama, llama3_8b(),
                  *published_tower("siglip-so400m-patch14-384")),
      with_vision("bunny-phi3-mini", "Bunny, Phi-3-mini-4k, SigLIP-so400m/384", Family::kBunnyPhi3, phi3_mini(),
                  *published_tower("siglip-so400m-patch14-384")),
      text_only("llama-2-7b", "Llama 2 7B, text only", small),
      text_only("llama-2-13b", "Llama 2 13B, text only", large),
      text_only("llama-3-8b", "Llama 3 8B, text only", llama3_8b()),
      text_only("phi-3-mini", "Phi-3-mini-4k, text only", phi3_mini()),
  };
}

void check_range(const char* flag, const std::optional<std::int64_t>& value, std::int64_t high) {
  if (value && (*value < 1 || *value > high)) {
    throw invalid_input(cat(flag, " ", *value, " is not between 1 and ", high), "give a size that a model can have");
  }
}

void check_ranges(const ShapeChanges& c) {
  check_range("`layers`", c.layers, kMostLayers);
  check_range("`hidden`", c.hidden, kMostWidth);
  check_range("`heads`", c.heads, kMostHeads);
  check_range("`kv_heads`", c.kv_heads, kMostHeads);
  check_range("`head_dim`", c.head_dim, 4096);
  check_range("`mlp`", c.mlp, kMostWidth);
  check_range("`vocab`", c.vocab, 1 << 24);
  check_range("`max_positions`", c.max_positions, kMostPositions);
  check_range("`sliding_window`", c.sliding_window, kMostPositions);
  check_range("`vision_layers`", c.vision_layers, kMostLayers);
  check_range("`vision_hidden`", c.vision_hidden, kMostWidth);
  check_range("`vision_heads`", c.vision_heads, kMostHeads);
  check_range("`vision_mlp`", c.vision_mlp, kMostWidth);
  check_range("`image_size`", c.image_size, 8192);
  check_range("`patch_size`", c.patch_size, 8192);
  if (c.rope_theta && !(*c.rope_theta > 1 && *c.rope_theta <= kMostTheta)) {
    throw invalid_input(cat("`rope_theta` ", *c.rope_theta, " is not above 1 and at most ", kMostTheta),
                        "published models use 10000 or 500000");
  }
}

// `size` at width `to` as it was at width `from`, rounded up to a multiple of 64.
std::int64_t in_proportion(std::int64_t size, std::int64_t from, std::int64_t to) {
  if (from == to) return size;
  constexpr std::int64_t kStep = 64;
  return (size * to + from * kStep - 1) / (from * kStep) * kStep;
}

// Heads of the published head size, for a width whose heads were not given.
std::int64_t heads_for(std::int64_t hidden, std::int64_t head_dim, const char* width_flag, const char* heads_flag) {
  if (hidden % head_dim != 0) {
    throw invalid_input(cat(width_flag, " ", hidden, ": not a multiple of the architecture's head size ", head_dim),
                        cat("give the number of heads with ", heads_flag));
  }
  return hidden / head_dim;
}

void shape_attention(DecoderConfig& c, const DecoderConfig& published, const ShapeChanges& changes) {
  if (changes.heads) {
    c.heads = *changes.heads;
  } else if (changes.hidden && !changes.head_dim) {
    c.heads = heads_for(c.hidden_size, published.head_dim, "`hidden`", "`heads`");
  }
  if (!changes.head_dim && c.hidden_size % c.heads != 0) {
    throw invalid_input(cat(c.heads, " heads do not divide the hidden size ", c.hidden_size),
                        "change `heads` or `hidden`, or give the size of a head with `head_dim`");
  }
  c.head_dim = changes.head_dim.value_or(c.hidden_size / c.heads);
  if (c.head_dim % 2 != 0) {
    throw invalid_input(cat("heads of ", c.head_dim, ": rotary embedding needs an even size"),
                        "change `heads`, `hidden` or `head_dim`");
  }
  const std::int64_t share = published.heads / published.kv_heads;
  c.kv_heads = changes.kv_heads.value_or(c.heads % share == 0 ? c.heads / share : c.heads);
  if (c.heads % c.kv_heads != 0) {
    throw invalid_input(cat("`kv_heads` ", c.kv_heads, ": does not divide the ", c.heads, " heads"),
                        "each key-value head serves the same number of heads");
  }
}

void shape_decoder(DecoderConfig& c, const ShapeChanges& changes) {
  const DecoderConfig published = c;
  c.layers = changes.layers.value_or(c.layers);
  c.hidden_size = changes.hidden.value_or(c.hidden_size);
  shape_attention(c, published, changes);
  c.mlp_size = changes.mlp.value_or(in_proportion(published.mlp_size, published.hidden_size, c.hidden_size));
  c.vocab_size = changes.vocab.value_or(c.vocab_size);
  c.max_positions = changes.max_positions.value_or(c.max_positions);
  c.rope_theta = changes.rope_theta.value_or(c.rope_theta);
  c.tie_embeddings = changes.tie_embeddings;
  if (!changes.sliding_window) return;
  if (c.kind != DecoderKind::kPhi3) {
    throw invalid_input("`sliding_window` does not apply: this architecture has full attention",
                        "leave it out: only Phi-3 has a window");
  }
  c.sliding_window = changes.sliding_window;
}

void shape_vision(VisionConfig& c, const ShapeChanges& changes) {
  const VisionConfig published = c;
  c.layers = changes.vision_layers.value_or(c.layers);
  c.hidden_size = changes.vision_hidden.value_or(c.hidden_size);
  if (changes.vision_heads) {
    c.heads = *changes.vision_heads;
  } else if (changes.vision_hidden) {
    c.heads = heads_for(c.hidden_size, published.hidden_size / published.heads, "`vision_hidden`", "`vision_heads`");
  }
  if (c.hidden_size % c.heads != 0) {
    throw invalid_input(cat(c.heads, " vision heads do not divide the vision tower's hidden size ", c.hidden_size),
                        "change `vision_heads` or `vision_hidden`");
  }
  c.mlp_size = changes.vision_mlp.value_or(in_proportion(published.mlp_size, published.hidden_size, c.hidden_size));
  c.image_size = changes.image_size.value_or(c.image_size);
  c.patch_size = changes.patch_size.value_or(c.patch_size);
  if (c.patch_size > c.image_size) {
    throw invalid_input(cat("`patch_size` ", c.patch_size, ": larger than the image, ", c.image_size, " pixels"),
                        "LLaVA-1.5 and Bunny use patches of 14 pixels");
  }
  if (c.grid() * c.grid() > kMostPatches) {
    throw invalid_input(cat("`image_size` ", c.image_size, ": ", c.grid(), " x ", c.grid(), " patches"),
                        "give a smaller `image_size` or a larger `patch_size`");
  }
  if (c.layers_run() < 1) {
    throw invalid_input(
        cat("`vision_layers` ", c.layers, " is too few: the features come from the layer before the last"),
        "give at least 2");
  }
}

bool changes_vision(const ShapeChanges& c) {
  return c.vision_layers || c.vision_hidden || c.vision_heads || c.vision_mlp || c.image_size || c.patch_size ||
         c.projector;
}

void choose_layout(ModelConfig& config, const Architecture& arch, std::optional<Layout> layout) {
  if (!layout) return;
  const bool llava = config.family == Family::kLlavaHf;
  if (llava) {
    if (*layout == Layout::kOriginal) config.family = Family::kLlavaOriginal;
    return;
  }
  const Layout only = config.vision ? Layout::kOriginal : Layout::kHf;
  if (*layout != only) {
    throw invalid_input(
        cat("`layout` ", *layout == Layout::kHf ? "hf" : "original", ": ", arch.name, " has one layout"),
        "leave out `layout`; only the LLaVA architectures have two");
  }
}

}  // namespace

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> all = all_architectures();
  return all;
}

const Architecture& find_architecture(const std::string& name) {
  std::vector<std::string> names;
  for (const Architecture& arch : architectures()) {
    if (arch.name == name) return arch;
    names.push_back(arch.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw invalid_input(cat("`arch` ", name, ": unknown architecture"),
                      nearest.empty() ? "known: " + join(names, ", ") : cat("did you mean ", nearest, "?"));
}

ShapeChanges sized(const Architecture& arch, const std::string& size, ShapeChanges changes) {
  if (size != "tiny" && size != "small") {
    throw invalid_input(cat("`size` ", size, ": unknown size"), "known: tiny, small");
  }
  const bool tiny = size == "tiny";
  const auto otherwise = [](std::optional<std::int64_t>& value, std::int64_t given) { value = value.value_or(given); };
  if (!changes.hidden) otherwise(changes.heads, tiny ? 4 : 8);
  otherwise(changes.layers, 8);
  otherwise(changes.hidden, tiny ? 64 : 256);
  if (!arch.config.vision) return changes;
  if (!changes.vision_hidden) otherwise(changes.vision_heads, tiny ? 2 : 4);
  otherwise(changes.vision_layers, tiny ? 2 : 4);
  otherwise(changes.vision_hidden, tiny ? 32 : 128);
  otherwise(changes.image_size, (tiny ? 4 : 8) * arch.config.vision->patch_size);
  return changes;
}

ModelConfig shaped_config(const Architecture& arch, std::optional<Layout> layout, const ShapeChanges& changes) {
  check_ranges(changes);
  ModelConfig config = arch.config;
  choose_layout(config, arch, layout);
  // llava-hf pads the vocabulary and its two added tokens to a multiple of 64; the original does not know them.
  if (config.family == Family::kLlavaHf) config.decoder.vocab_size += 64;
  shape_decoder(config.decoder, changes);
  if (!config.vision) {
    if (changes_vision(changes)) {
      throw invalid_input(cat(arch.name, " has no vision tower and no projector"),
                          "leave out the vision and projector flags, or choose a vision-language architecture");
    }
    return config;
  }
  shape_vision(*config.vision, changes);
  config.projector->in_size = config.vision->hidden_size;
  config.projector->out_size = config.decoder.hidden_size;
  if (!changes.projector) return config;
  try {
    config.projector->depth = parse_projector_type(*changes.projector, "`projector`");
  } catch (const Error& error) {
    throw invalid_input(error.what(), error.hint());
  }
  if (config.family == Family::kLlavaHf && config.projector->depth != 2) {
    throw invalid_input(cat("`projector` ", *changes.projector, ": the llava-hf layout supports only mlp2x_gelu"),
                        "add `layout` original");
  }
  return config;
}

}  // namespace striate
