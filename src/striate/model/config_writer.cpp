#include "striate/model/config_writer.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using nlohmann::json;

json id_or_null(const std::optional<std::int64_t>& id) {
  return id ? json(*id) : json(nullptr);
}

json decoder_json(const DecoderConfig& c, at::ScalarType dtype) {
  const bool phi3 = c.kind == DecoderKind::kPhi3;
  json out = {
      {"vocab_size", c.vocab_size},
      {"hidden_size", c.hidden_size},
      {"intermediate_size", c.mlp_size},
      {"num_hidden_layers", c.layers},
      {"num_attention_heads", c.heads},
      {"num_key_value_heads", c.kv_heads},
      {"max_position_embeddings", c.max_positions},
      {"hidden_act", "silu"},
      {"initializer_range", 0.02},
      {"rms_norm_eps", c.rms_eps},
      {"rope_theta", c.rope_theta},
      {"rope_scaling", nullptr},
      {"attention_bias", c.attention_bias},
      {"attention_dropout", 0.0},
      {"tie_word_embeddings", c.tie_embeddings},
      {"use_cache", true},
      {"bos_token_id", id_or_null(c.bos_id)},
      {"eos_token_id", c.eos_ids.empty() ? json(nullptr) : json(c.eos_ids.front())},
      {"torch_dtype", torch_dtype_name(dtype)},
  };
  // transformers before 4.45 took the head size from the width alone: say it only where it differs.
  if (c.head_dim * c.heads != c.hidden_size) out["head_dim"] = c.head_dim;
  if (c.pad_id) out["pad_token_id"] = *c.pad_id;
  if (phi3) {
    // Phi3Config's own default, 32000, would lie outside a small vocabulary.
    out["pad_token_id"] = id_or_null(c.pad_id);
    out["original_max_position_embeddings"] = c.max_positions;
    out["sliding_window"] = c.sliding_window ? json(*c.sliding_window) : json(nullptr);
    out["embd_pdrop"] = 0.0;
    out["resid_pdrop"] = 0.0;
  } else {
    out["mlp_bias"] = c.mlp_bias;
    out["pretraining_tp"] = 1;
  }
  return out;
}

std::string activation_name(VisionActivation activation) {
  switch (activation) {
    case VisionActivation::kQuickGelu:
      return "quick_gelu";
    case VisionActivation::kGeluTanh:
      return "gelu_pytorch_tanh";
    case VisionActivation::kGelu:
      return "gelu";
  }
  throw internal_error("unknown activation");
}

json vision_json(const VisionConfig& c) {
  json out = {
      {"model_type", c.kind == TowerKind::kClip ? "clip_vision_model" : "siglip_vision_model"},
      {"hidden_size", c.hidden_size},
      {"intermediate_size", c.mlp_size},
      {"num_hidden_layers", c.layers},
      {"num_attention_heads", c.heads},
      {"image_size", c.image_size},
      {"patch_size", c.patch_size},
      {"num_channels", c.channels},
      {"hidden_act", activation_name(c.activation)},
      {"layer_norm_eps", c.layer_norm_eps},
      {"attention_dropout", 0.0},
  };
  if (c.kind == TowerKind::kClip) {
    out["projection_dim"] = 768;
    out["vocab_size"] = 32000;
  }
  return out;
}

json tower_json(const VisionConfig& c) {
  if (c.kind == TowerKind::kSiglip) {
    return {{"architectures", {"SiglipModel"}}, {"model_type", "siglip"}, {"vision_config", vision_json(c)}};
  }
  json out = vision_json(c);
  out["architectures"] = {"CLIPVisionModel"};
  return out;
}

json preprocessor_json(const ModelConfig& config) {
  const VisionConfig& vision = *config.vision;
  const std::int64_t size = vision.image_size;
  json out = {
      {"do_resize", true},      {"resample", 3},        {"do_rescale", true}, {"rescale_factor", 1.0 / 255.0},
      {"do_convert_rgb", true}, {"do_normalize", true},
  };
  if (vision.kind == TowerKind::kSiglip) {
    out["image_processor_type"] = "SiglipImageProcessor";
    out["size"] = {{"height", size}, {"width", size}};
    out["image_mean"] = {0.5, 0.5, 0.5};
    out["image_std"] = {0.5, 0.5, 0.5};
    return out;
  }
  out["size"] = {{"shortest_edge", size}};
  out["do_center_crop"] = true;
  out["crop_size"] = {{"height", size}, {"width", size}};
  out["image_mean"] = {0.48145466, 0.4578275, 0.40821073};
  out["image_std"] = {0.26862954, 0.26130258, 0.27577711};
  const bool hf = config.family == Family::kLlavaHf;
  out["image_processor_type"] = hf ? "LlavaImageProcessor" : "CLIPImageProcessor";
  if (hf) {
    // Pads to a square with the mean colour, as LLaVA-1.5 did in training.
    out["do_pad"] = config.pad_to_square;
    out["processor_class"] = "LlavaProcessor";
  }
  return out;
}

json llava_hf_json(const ModelConfig& config, at::ScalarType dtype) {
  json text = decoder_json(config.decoder, dtype);
  text["model_type"] = "llama";
  text["architectures"] = {"LlamaForCausalLM"};
  return {
      {"architectures", {"LlavaForConditionalGeneration"}},
      {"model_type", "llava"},
      {"ignore_index", -100},
      {"image_token_index", id_or_null(config.image_token_id)},
      {"image_seq_length", config.vision->tokens()},
      {"pad_token_id", id_or_null(config.decoder.pad_id)},
      {"vocab_size", config.decoder.vocab_size},
      {"projector_hidden_act", "gelu"},
      {"multimodal_projector_bias", true},
      {"vision_feature_layer", config.vision->feature_layer},
      {"vision_feature_select_strategy", config.vision->keep_class_token ? "full" : "default"},
      {"tie_word_embeddings", config.decoder.tie_embeddings},
      {"text_config", text},
      {"vision_config", vision_json(*config.vision)},
      {"torch_dtype", torch_dtype_name(dtype)},
  };
}

struct TypeNames {
  const char* model_type;
  const char* architecture;
};

TypeNames type_names(Family family) {
  switch (family) {
    case Family::kLlavaHf:
      return {"llava", "LlavaForConditionalGeneration"};
    case Family::kLlavaOriginal:
      return {"llava_llama", "LlavaLlamaForCausalLM"};
    case Family::kBunnyLlama:
      return {"bunny-llama", "BunnyLlamaForCausalLM"};
    case Family::kBunnyPhi3:
      return {"bunny-phi3", "BunnyPhi3ForCausalLM"};
    case Family::kTextLlama:
      return {"llama", "LlamaForCausalLM"};
    case Family::kTextPhi3:
      return {"phi3", "Phi3ForCausalLM"};
  }
  throw internal_error("unknown family");
}

// Who the model is, and LLaVA's mm_ keys in models that see: what stands beside the decoder's own settings.
json family_json(const ModelConfig& config) {
  json out;
  const TypeNames names = type_names(config.family);
  out["model_type"] = names.model_type;
  out["architectures"] = {names.architecture};
  if (!config.vision) return out;
  const std::int64_t depth = config.projector->depth;
  out["mm_vision_tower"] = config.vision_tower_name;
  out["mm_hidden_size"] = config.projector->in_size;
  out["mm_projector_type"] = depth == 1 ? "linear" : cat("mlp", depth, "x_gelu");
  out["mm_vision_select_layer"] = config.vision->feature_layer;
  out["mm_vision_select_feature"] = config.vision->keep_class_token ? "cls_patch" : "patch";
  out["mm_use_im_start_end"] = false;
  out["mm_use_im_patch_token"] = false;
  out["image_aspect_ratio"] = config.pad_to_square ? "pad" : "square";
  out["use_mm_proj"] = true;
  out["tune_mm_mlp_adapter"] = false;
  out["freeze_mm_mlp_adapter"] = false;
  out["tokenizer_model_max_length"] = 2048;
  out["tokenizer_padding_side"] = "right";
  return out;
}

// Everything whose config.json is the decoder's own.
json flat_json(const ModelConfig& config, at::ScalarType dtype) {
  json out = decoder_json(config.decoder, dtype);
  out.update(family_json(config));
  return out;
}

json assembled_json(const ModelConfig& config, at::ScalarType dtype) {
  json out = config.raw;
  out.update(family_json(config));
  out["num_hidden_layers"] = config.decoder.layers;
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (out.contains(key)) out[key] = torch_dtype_name(dtype);
  }
  for (const char* key : {"auto_map", "_name_or_path"}) out.erase(key);  // of the language model alone
  return out;
}

json generation_json(const ModelConfig& config) {
  const DecoderConfig& c = config.decoder;
  json out = {{"_from_model_config", true}, {"bos_token_id", id_or_null(c.bos_id)}};
  if (c.eos_ids.size() == 1) out["eos_token_id"] = c.eos_ids.front();
  if (c.eos_ids.size() > 1) out["eos_token_id"] = c.eos_ids;
  if (c.pad_id) out["pad_token_id"] = *c.pad_id;
  return out;
}

void add_tower_files(std::vector<std::pair<std::string, json>>& files, const ModelConfig& config, json processor) {
  files.emplace_back(config.vision_tower_name + "/config.json", tower_json(*config.vision));
  files.emplace_back(config.vision_tower_name + "/preprocessor_config.json", std::move(processor));
}

}  // namespace

std::string tower_folder_name(TowerKind kind) {
  return kind == TowerKind::kClip ? "vision_tower_clip" : "vision_tower_siglip";
}

std::string torch_dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return "float32";
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    default:
      throw internal_error(cat("no checkpoint has type ", c10::toString(dtype)));
  }
}

std::vector<std::pair<std::string, json>> config_files(const ModelConfig& config, at::ScalarType dtype) {
  const bool hf = config.family == Family::kLlavaHf;
  std::vector<std::pair<std::string, json>> files;
  files.emplace_back("config.json", hf ? llava_hf_json(config, dtype) : flat_json(config, dtype));
  files.emplace_back("generation_config.json", generation_json(config));
  if (hf) {
    files.emplace_back("preprocessor_config.json", preprocessor_json(config));
    files.emplace_back("processor_config.json",
                       json{
                           {"processor_class", "LlavaProcessor"},
                           {"image_token", "<image>"},
                           {"patch_size", config.vision->patch_size},
                           {"num_additional_image_tokens", config.vision->kind == TowerKind::kClip ? 1 : 0},
                           {"vision_feature_select_strategy", config.vision->keep_class_token ? "full" : "default"},
                       });
  } else if (config.vision) {
    add_tower_files(files, config, preprocessor_json(config));
  }
  return files;
}

std::vector<std::pair<std::string, json>> assembled_config_files(const ModelConfig& config,
                                                                 const std::optional<json>& processor,
                                                                 at::ScalarType dtype) {
  std::vector<std::pair<std::string, json>> files;
  files.emplace_back("config.json", assembled_json(config, dtype));
  files.emplace_back("generation_config.json", generation_json(config));
  add_tower_files(files, config, processor ? *processor : preprocessor_json(config));
  return files;
}

}  // namespace striate
