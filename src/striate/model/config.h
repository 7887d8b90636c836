// What a model is made of, read from Hugging Face configuration files.
//
// Published configs leave out what transformers fills in by default (rope theta, activation, eps, key-value heads);
// the same defaults are filled in here, per architecture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/image/image.h"
#include "striate/model/name_map.h"
#include "striate/text/conversation.h"

namespace striate {

enum class DecoderKind {
  kLlama,  // q, k, v, gate and up apart; grouped key-value heads
  kPhi3,   // fused qkv_proj and gate_up_proj
};

// How rotary frequencies are stretched for longer contexts (transformers modeling_rope_utils).
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1.0;
  double low_freq_factor = 1.0;   // kLlama3
  double high_freq_factor = 4.0;  // kLlama3
  double original_positions = 0;  // kLlama3
};

struct DecoderConfig {
  DecoderKind kind = DecoderKind::kLlama;
  std::int64_t vocab_size = 32000;
  std::int64_t hidden_size = 4096;
  std::int64_t mlp_size = 11008;
  std::int64_t layers = 32;
  std::int64_t heads = 32;
  std::int64_t kv_heads = 32;
  std::int64_t head_dim = 128;
  std::int64_t max_positions = 2048;
  double rms_eps = 1e-6;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  // A query sees this many keys before itself, and itself (transformers 4.41 for Phi-3); none = all.
  std::optional<std::int64_t> sliding_window;
  bool tie_embeddings = false;
  bool attention_bias = false;
  bool mlp_bias = false;
  std::optional<std::int64_t> bos_id;
  std::vector<std::int64_t> eos_ids;
  std::optional<std::int64_t> pad_id;
};

enum class TowerKind {
  kClip,    // class token, pre-norm, quick-GELU
  kSiglip,  // no class token, tanh-GELU
};

enum class VisionActivation { kQuickGelu, kGeluTanh, kGelu };

struct VisionConfig {
  TowerKind kind = TowerKind::kClip;
  std::int64_t image_size = 336;  // pixels
  std::int64_t patch_size = 14;   // pixels
  std::int64_t channels = 3;
  std::int64_t hidden_size = 1024;
  std::int64_t mlp_size = 4096;
  std::int64_t layers = 24;
  std::int64_t heads = 16;
  double layer_norm_eps = 1e-5;
  VisionActivation activation = VisionActivation::kQuickGelu;
  // Which hidden state is the feature, as transformers counts output_hidden_states: -2 is before the last layer.
  std::int64_t feature_layer = -2;
  bool keep_class_token = false;  // LLaVA's vision_feature_select_strategy "full"

  // Patches along one side: the floor of image_size / patch_size.
  std::int64_t grid() const { return image_size / patch_size; }
  // Rows the tower gives per image.
  std::int64_t tokens() const { return grid() * grid() + (keep_class_token ? 1 : 0); }
  // How many of the layers must run to reach feature_layer.
  std::int64_t layers_run() const { return feature_layer < 0 ? layers + 1 + feature_layer : feature_layer; }
};

// Linear layers with an exact GELU between them: 1 is `linear`, N is `mlpNx_gelu`.
struct ProjectorConfig {
  std::int64_t depth = 2;
  std::int64_t in_size = 1024;
  std::int64_t out_size = 4096;
};

enum class Family {
  kLlavaHf,        // llava-hf naming
  kLlavaOriginal,  // liuhaotian naming
  kBunnyLlama,
  kBunnyPhi3,
  kTextLlama,  // a language model alone
  kTextPhi3,
};

// What a family's files and vocabulary hold that those of others do not; everything a model computes has a field of its
// own in DecoderConfig, VisionConfig or ProjectorConfig.
struct FileConventions {
  Naming naming = Naming::kOriginal;       // of tensors in files
  Naming live_naming = Naming::kOriginal;  // of tensors of the model in memory, as PEFT's adapters name them
  // Whether config.json holds the language model's settings under "text_config", and the model in memory has the
  // language model without a head inside.
  bool nested_decoder = false;
  bool image_token = false;  // whether one token of the vocabulary stands for a picture, and one for padding
  // Whether the processor's "do_pad" decides on padding to a square where config.json does not; pictures are cropped
  // where neither says anything.
  bool processor_pads = false;
};

struct ModelConfig {
  Family family = Family::kLlavaHf;
  DecoderConfig decoder;
  std::optional<VisionConfig> vision;        // absent in a language model alone
  std::optional<ProjectorConfig> projector;  // absent with it
  bool pad_to_square = true;                 // image_aspect_ratio "pad"
  // Of a tower that was given apart: its processor's settings are read there.
  std::optional<std::filesystem::path> tower_folder;
  std::optional<bool> padding_asked;           // by `image_aspect` or by what training used: before all files
  std::string vision_tower_name;               // mm_vision_tower: a folder beside the config or a published name
  std::optional<std::int64_t> image_token_id;  // llava-hf's image_token_index
  // generation_config.json's eos_token_id, which transformers' generate() reads before config.json's; none: not said
  // there.
  std::optional<std::vector<std::int64_t>> generation_eos_ids;
  nlohmann::json raw;  // the file as it was

  const FileConventions& files() const;  // its family's
};

// Ids that end an answer: those of config.json and of generation_config.json.
std::vector<std::int64_t> answer_end_ids(const ModelConfig& config);

std::string family_name(Family family);
const FileConventions& file_conventions(Family family);
// The conversation template a family was tuned with.
TemplateKind default_template(Family family);

// Reads `folder`/config.json. For Bunny and original LLaVA, whose config only names the vision tower, the tower's
// config comes from `vision_folder` when given, else from the folder mm_vision_tower names inside `folder`, else from
// the published towers' known shapes.
// Throws InvalidInput (no config.json), CorruptData (not JSON; a key of a wrong type or impossible value: the key is
// named), Unsupported (unknown architecture, su/longrope scaling, unknown activation or projector).
ModelConfig read_model_config(const std::filesystem::path& folder,
                              const std::optional<std::filesystem::path>& vision_folder = std::nullopt);

// The vision tower's own config.json (CLIPModel, CLIPVisionModel, SiglipModel, SiglipVisionModel, or llava's
// vision_config). Throws as above; `where` is what errors call the file.
VisionConfig parse_vision_config(const nlohmann::json& json, const std::string& where);

// A vision tower's shape by its published name (CLIP ViT-L/14 at 336 and 224 pixels, SigLIP-so400m/384), for configs
// that only name it; the name may have an owner in front. nullopt for others.
std::optional<VisionConfig> published_tower(const std::string& name);

// A decoder's own config (Llama, Phi-3). Throws as above.
DecoderConfig parse_decoder_config(const nlohmann::json& json, DecoderKind kind, const std::string& where);

// Parses "linear", "mlp2x_gelu", "mlp3x_gelu"...: the depth. Throws Unsupported.
std::int64_t parse_projector_type(const std::string& type, const std::string& where);

}  // namespace striate
