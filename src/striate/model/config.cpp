#include "striate/model/config.h"

#include <algorithm>
#include <array>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/model/config_reader.h"

namespace striate {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxWidth = 1 << 20;  // wider or deeper than any model that exists: a damaged file
constexpr std::int64_t kMaxLayers = 1 << 12;

std::vector<std::int64_t> read_eos(const ConfigReader& config, std::vector<std::int64_t> fallback) {
  if (!config.has("eos_token_id")) return fallback;
  const json& value = config.at("eos_token_id");
  if (value.is_number_integer()) return {value.get<std::int64_t>()};
  if (!value.is_array()) throw config.wrong("eos_token_id", "a token id or a list of them");
  std::vector<std::int64_t> ids;
  for (const json& id : value) {
    if (!id.is_number_integer()) throw config.wrong("eos_token_id", "a token id or a list of them");
    ids.push_back(id.get<std::int64_t>());
  }
  return ids;
}

RopeScaling parse_rope_scaling(const json& scaling, const std::string& where) {
  const ConfigReader reader(scaling, where + ": rope_scaling");
  const std::string type = reader.text("rope_type", reader.text("type", "default"));
  RopeScaling result;
  if (type == "default") return result;
  result.factor = reader.number("factor", 1.0);
  if (type == "linear") {
    result.kind = RopeScaling::Kind::kLinear;
  } else if (type == "llama3") {
    result.kind = RopeScaling::Kind::kLlama3;
    result.low_freq_factor = reader.number("low_freq_factor", 1.0);
    result.high_freq_factor = reader.number("high_freq_factor", 4.0);
    result.original_positions = reader.number("original_max_position_embeddings", 8192);
  } else {
    throw unsupported(cat(where, ": rope scaling \"", type, "\" is not implemented"),
                      "use the 4k-context release of the model (e.g. Phi-3-mini-4k), which needs no scaling");
  }
  if (!(result.factor >= 1.0)) throw reader.wrong("factor", "at least 1");
  return result;
}

RopeScaling read_rope(const ConfigReader& config, double& theta) {
  theta = config.number("rope_theta", 10000.0);
  // transformers 5 gathers both in rope_parameters.
  if (config.has("rope_parameters")) {
    const ConfigReader parameters(config.at("rope_parameters"), config.where() + ": rope_parameters");
    theta = parameters.number("rope_theta", theta);
    return parse_rope_scaling(config.at("rope_parameters"), config.where());
  }
  if (!config.has("rope_scaling")) return {};
  return parse_rope_scaling(config.at("rope_scaling"), config.where());
}

VisionActivation parse_activation(const std::string& name, const std::string& where) {
  if (name == "quick_gelu") return VisionActivation::kQuickGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return VisionActivation::kGeluTanh;
  if (name == "gelu") return VisionActivation::kGelu;
  throw unsupported(cat(where, ": activation \"", name, "\" is not implemented"),
                    "known: quick_gelu, gelu_pytorch_tanh, gelu");
}

VisionConfig find_vision_config(const std::filesystem::path& folder,
                                const std::optional<std::filesystem::path>& vision_folder, const std::string& name) {
  if (vision_folder) {
    const std::filesystem::path file = *vision_folder / "config.json";
    return parse_vision_config(read_json_file(file), file.string());
  }
  if (!name.empty() && name.find("..") == std::string::npos) {
    for (const std::filesystem::path& candidate :
         {folder / name, folder / std::filesystem::path(name).filename(), std::filesystem::path(name)}) {
      const std::filesystem::path file = candidate / "config.json";
      if (std::filesystem::exists(file)) return parse_vision_config(read_json_file(file), file.string());
    }
  }
  if (const auto known = published_tower(name)) return *known;
  throw invalid_input(cat(folder.string(), ": the config of its vision tower \"", name, "\" is not there"),
                      "give it with --vision-tower DIR");
}

// Keys that LLaVA and Bunny put beside the decoder's own.
void read_multimodal(ModelConfig& model, const ConfigReader& config, const std::filesystem::path& folder,
                     const std::optional<std::filesystem::path>& vision_folder) {
  if (!config.has("mm_vision_tower") && !vision_folder) return;
  model.vision_tower_name = config.text("mm_vision_tower", "");
  VisionConfig vision = find_vision_config(folder, vision_folder, model.vision_tower_name);
  vision.feature_layer = config.integer("mm_vision_select_layer", -2, -kMaxLayers, kMaxLayers);
  const std::string select = config.text("mm_vision_select_feature", "patch");
  if (select != "patch" && select != "cls_patch") {
    throw unsupported(cat(config.where(), ": mm_vision_select_feature \"", select, "\" is not implemented"),
                      "known: patch, cls_patch");
  }
  vision.keep_class_token = select == "cls_patch" && vision.kind == TowerKind::kClip;
  model.vision = vision;
  if (config.boolean("mm_use_im_start_end", false)) {
    throw unsupported(cat(config.where(), ": mm_use_im_start_end is not implemented"),
                      "the four supported models do not use it");
  }
  model.projector =
      ProjectorConfig{parse_projector_type(config.text("mm_projector_type", "linear"), config.where()),
                      config.integer("mm_hidden_size", vision.hidden_size, 1, kMaxWidth), model.decoder.hidden_size};
  model.pad_to_square = config.text("image_aspect_ratio", "square") == "pad";
}

ModelConfig read_llava_hf(const json& root, const std::string& where) {
  const ConfigReader config(root, where);
  ModelConfig model;
  model.family = Family::kLlavaHf;
  if (!config.has("text_config") || !config.has("vision_config")) {
    throw corrupt_data(where + ": no text_config or no vision_config", "is it a llava-hf checkpoint's config.json?");
  }
  const ConfigReader text(config.at("text_config"), where + ": text_config");
  const std::string type = text.text("model_type", "llama");
  if (type != "llama" && type != "phi3") {
    throw unsupported(cat(where, ": text model \"", type, "\" is not implemented"), "known: llama, phi3");
  }
  model.decoder = parse_decoder_config(config.at("text_config"),
                                       type == "phi3" ? DecoderKind::kPhi3 : DecoderKind::kLlama, text.where());
  if (config.has("tie_word_embeddings") && !text.has("tie_word_embeddings")) {
    model.decoder.tie_embeddings = config.boolean("tie_word_embeddings", false);
  }
  VisionConfig vision = parse_vision_config(config.at("vision_config"), where + ": vision_config");
  if (config.has("vision_feature_layer") && !config.at("vision_feature_layer").is_number_integer()) {
    throw unsupported(where + ": several vision_feature_layers are not implemented", "use a model with one");
  }
  vision.feature_layer = config.integer("vision_feature_layer", -2, -kMaxLayers, kMaxLayers);
  vision.keep_class_token =
      config.text("vision_feature_select_strategy", "default") == "full" && vision.kind == TowerKind::kClip;
  model.vision = vision;
  const std::string activation = config.text("projector_hidden_act", "gelu");
  if (activation != "gelu") {
    throw unsupported(cat(where, ": projector activation \"", activation, "\" is not implemented"), "known: gelu");
  }
  model.projector = ProjectorConfig{2, vision.hidden_size, model.decoder.hidden_size};
  // llava-hf spells the same token both ways, before and after transformers 4.50.
  if (config.has("image_token_index")) model.image_token_id = config.integer("image_token_index", 0, 0);
  if (config.has("image_token_id")) model.image_token_id = config.integer("image_token_id", 0, 0);
  model.pad_to_square = config.text("image_aspect_ratio", "pad") == "pad";
  return model;
}

void check_vision(const ModelConfig& model, const std::string& where) {
  if (!model.vision) return;
  const VisionConfig& vision = *model.vision;
  if (vision.layers_run() < 0 || vision.layers_run() > vision.layers) {
    throw corrupt_data(
        cat(where, ": vision feature layer ", vision.feature_layer, " of a tower with ", vision.layers, " layers"),
        "LLaVA-1.5 and Bunny use -2");
  }
  if (model.projector->in_size != vision.hidden_size) {
    throw corrupt_data(cat(where, ": the projector takes ", model.projector->in_size,
                           " features, the vision tower gives ", vision.hidden_size),
                       "is it the right vision tower?");
  }
}

}  // namespace

json read_json_file(const std::filesystem::path& path) {
  constexpr std::uint64_t kCap = 64 << 20;
  const std::string text = read_file(path, kCap);
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    const std::size_t end = std::min(error.byte, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    throw corrupt_data(cat(path.string(), ":", line, ": not valid JSON"), "the file may be cut off: fetch it again");
  }
}

std::optional<VisionConfig> published_tower(const std::string& name) {
  VisionConfig config;
  if (name.find("clip-vit-large-patch14-336") != std::string::npos) return config;
  if (name.find("clip-vit-large-patch14") != std::string::npos) {
    config.image_size = 224;
    return config;
  }
  if (name.find("siglip-so400m-patch14-384") != std::string::npos) {
    config.kind = TowerKind::kSiglip;
    config.image_size = 384;
    config.hidden_size = 1152;
    config.mlp_size = 4304;
    config.layers = 27;
    config.layer_norm_eps = 1e-6;
    config.activation = VisionActivation::kGeluTanh;
    return config;
  }
  return std::nullopt;
}

std::string family_name(Family family) {
  switch (family) {
    case Family::kLlavaHf:
      return "LLaVA-1.5 (llava-hf naming)";
    case Family::kLlavaOriginal:
      return "LLaVA-1.5 (original naming)";
    case Family::kBunnyLlama:
      return "Bunny-Llama-3";
    case Family::kBunnyPhi3:
      return "Bunny-Phi-3";
    case Family::kTextLlama:
      return "Llama (text only)";
    case Family::kTextPhi3:
      return "Phi-3 (text only)";
  }
  throw internal_error("unknown family");
}

TemplateKind default_template(Family family) {
  switch (family) {
    case Family::kBunnyLlama:
      return TemplateKind::kLlama;
    case Family::kBunnyPhi3:
      return TemplateKind::kPhi3;
    default:
      return TemplateKind::kVicunaV1;
  }
}

std::int64_t parse_projector_type(const std::string& type, const std::string& where) {
  if (type == "linear") return 1;
  constexpr std::string_view kSuffix = "x_gelu";
  if (type.starts_with("mlp") && type.ends_with(kSuffix) && type.size() > 3 + kSuffix.size()) {
    const std::string digits = type.substr(3, type.size() - 3 - kSuffix.size());
    if (digits.size() <= 2 && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      const int depth = std::stoi(digits);
      if (depth >= 1) return depth;
    }
  }
  throw unsupported(cat(where, ": projector \"", type, "\" is not implemented"), "known: linear, mlpNx_gelu");
}

VisionConfig parse_vision_config(const json& root, const std::string& where) {
  const bool nested = root.is_object() && root.contains("vision_config") && root.at("vision_config").is_object();
  const json& own = nested ? root.at("vision_config") : root;
  const ConfigReader config(own, where);
  std::string type = config.text("model_type", "");
  if (nested && type.empty()) type = ConfigReader(root, where).text("model_type", "");
  VisionConfig vision;
  if (type == "siglip" || type == "siglip_vision_model") {
    // transformers' SiglipVisionConfig defaults (siglip-base-patch16-224).
    vision = VisionConfig{TowerKind::kSiglip, 224, 16, 3, 768, 3072, 12, 12, 1e-6, VisionActivation::kGeluTanh};
  } else if (type == "clip" || type == "clip_vision_model") {
    // transformers' CLIPVisionConfig defaults (clip-vit-base-patch32).
    vision = VisionConfig{TowerKind::kClip, 224, 32, 3, 768, 3072, 12, 12, 1e-5, VisionActivation::kQuickGelu};
  } else {
    throw unsupported(cat(where, ": vision tower \"", type, "\" is not implemented"), "known: CLIP ViT, SigLIP");
  }
  vision.image_size = config.integer("image_size", vision.image_size, 1, 16384);
  vision.patch_size = config.integer("patch_size", vision.patch_size, 1, 16384);
  if (vision.patch_size > vision.image_size) {
    throw corrupt_data(cat(where, ": a patch of ", vision.patch_size, " pixels in an image of ", vision.image_size),
                       "compare it with the published config of this model");
  }
  vision.channels = config.integer("num_channels", vision.channels, 1, 16);
  vision.hidden_size = config.integer("hidden_size", vision.hidden_size, 1, kMaxWidth);
  vision.mlp_size = config.integer("intermediate_size", vision.mlp_size, 1, kMaxWidth);
  vision.layers = config.integer("num_hidden_layers", vision.layers, 1, kMaxLayers);
  vision.heads = config.integer("num_attention_heads", vision.heads, 1, vision.hidden_size);
  vision.layer_norm_eps = config.number("layer_norm_eps", vision.layer_norm_eps);
  if (config.has("hidden_act")) vision.activation = parse_activation(config.text("hidden_act", ""), where);
  if (vision.hidden_size % vision.heads != 0) {
    throw corrupt_data(
        cat(where, ": hidden_size ", vision.hidden_size, " is not a multiple of ", vision.heads, " heads"),
        "compare it with the published config of this model");
  }
  return vision;
}

DecoderConfig parse_decoder_config(const json& root, DecoderKind kind, const std::string& where) {
  const ConfigReader config(root, where);
  DecoderConfig decoder;
  decoder.kind = kind;
  const bool phi3 = kind == DecoderKind::kPhi3;
  decoder.vocab_size = config.integer("vocab_size", phi3 ? 32064 : 32000, 1, 1 << 24);
  decoder.hidden_size = config.integer("hidden_size", phi3 ? 3072 : 4096, 1, kMaxWidth);
  decoder.mlp_size = config.integer("intermediate_size", phi3 ? 8192 : 11008, 1, kMaxWidth);
  decoder.layers = config.integer("num_hidden_layers", 32, 1, kMaxLayers);
  decoder.heads = config.integer("num_attention_heads", 32, 1, decoder.hidden_size);
  decoder.kv_heads = config.integer("num_key_value_heads", decoder.heads, 1, decoder.heads);
  if (!config.has("head_dim") && decoder.hidden_size % decoder.heads != 0) {
    throw corrupt_data(
        cat(where, ": hidden_size ", decoder.hidden_size, " is not a multiple of ", decoder.heads, " heads"),
        "compare it with the published config of this model");
  }
  decoder.head_dim = config.integer("head_dim", decoder.hidden_size / decoder.heads, 1, 4096);
  if (decoder.heads % decoder.kv_heads != 0) {
    throw corrupt_data(cat(where, ": ", decoder.heads, " heads cannot share ", decoder.kv_heads, " key-value heads"),
                       "num_attention_heads must be a multiple of num_key_value_heads");
  }
  if (decoder.head_dim % 2 != 0) {
    throw corrupt_data(cat(where, ": head_dim ", decoder.head_dim, " is odd: rotary embedding needs pairs"),
                       "compare it with the published config of this model");
  }
  decoder.max_positions = config.integer("max_position_embeddings", phi3 ? 4096 : 2048);
  decoder.rms_eps = config.number("rms_norm_eps", phi3 ? 1e-5 : 1e-6);
  decoder.rope_scaling = read_rope(config, decoder.rope_theta);
  if (phi3 && config.has("sliding_window")) decoder.sliding_window = config.integer("sliding_window", 0, 1);
  decoder.tie_embeddings = config.boolean("tie_word_embeddings", false);
  decoder.attention_bias = config.boolean("attention_bias", false);
  decoder.mlp_bias = config.boolean("mlp_bias", false);
  const std::string activation = config.text("hidden_act", "silu");
  if (activation != "silu") {
    throw unsupported(cat(where, ": activation \"", activation, "\" is not implemented"), "known: silu");
  }
  decoder.bos_id = config.integer("bos_token_id", 1, 0);
  decoder.eos_ids = read_eos(config, {phi3 ? 32000 : 2});
  if (config.has("pad_token_id")) decoder.pad_id = config.integer("pad_token_id", 0, -1);
  return decoder;
}

ModelConfig read_model_config(const std::filesystem::path& folder,
                              const std::optional<std::filesystem::path>& vision_folder) {
  const std::filesystem::path file = folder / "config.json";
  if (!std::filesystem::is_directory(folder)) {
    throw invalid_input(folder.string() + ": no such folder", "give a Hugging Face model folder (with config.json)");
  }
  if (!std::filesystem::exists(file)) {
    throw invalid_input(folder.string() + ": no config.json in it", "give a Hugging Face model folder");
  }
  json root = read_json_file(file);
  const ConfigReader config(root, file.string());
  const std::string type = config.text("model_type", "");
  const bool original_llava = type == "llava_llama" || (type == "llava" && !config.has("text_config"));
  ModelConfig model;
  if (type == "llava" && !original_llava) {
    model = read_llava_hf(root, file.string());
  } else {
    bool phi3 = false;
    if (original_llava) {
      model.family = Family::kLlavaOriginal;
    } else if (type == "bunny-llama") {
      model.family = Family::kBunnyLlama;
    } else if (type == "bunny-phi3") {
      model.family = Family::kBunnyPhi3;
      phi3 = true;
    } else if (type == "llama") {
      model.family = Family::kTextLlama;
    } else if (type == "phi3") {
      model.family = Family::kTextPhi3;
      phi3 = true;
    } else {
      throw unsupported(cat(file.string(), ": unknown architecture \"", type, "\""),
                        "known model_type: llava, llava_llama, bunny-llama, bunny-phi3, llama, phi3");
    }
    model.decoder = parse_decoder_config(root, phi3 ? DecoderKind::kPhi3 : DecoderKind::kLlama, file.string());
    read_multimodal(model, config, folder, vision_folder);
  }
  check_vision(model, file.string());
  model.raw = std::move(root);
  return model;
}

PreprocessConfig preprocess_config(const ModelConfig& config, const std::filesystem::path& folder) {
  if (!config.vision) throw internal_error("a language model alone has no pixels");
  const int size = static_cast<int>(config.vision->image_size);
  PreprocessConfig pixels =
      config.vision->kind == TowerKind::kClip ? PreprocessConfig::clip(size) : PreprocessConfig::siglip(size);
  bool pad = config.pad_to_square;
  for (const std::filesystem::path& candidate :
       {folder / "preprocessor_config.json", folder / config.vision_tower_name / "preprocessor_config.json"}) {
    if (!std::filesystem::exists(candidate)) continue;
    pixels = PreprocessConfig::from_file(candidate);
    // In llava-hf checkpoints the processor decides, as it does in transformers; without one, LLaVA's own way holds.
    if (config.family == Family::kLlavaHf && !config.raw.contains("image_aspect_ratio")) {
      pad = ConfigReader(read_json_file(candidate), candidate.string()).boolean("do_pad", false);
    }
    if (pixels.size != size) {
      throw corrupt_data(cat(candidate.string(), ": pictures of ", pixels.size, " pixels for a tower of ", size),
                         "the file belongs to another vision tower");
    }
    break;
  }
  pixels.pad_to_square = pad;
  return pixels;
}

}  // namespace striate
