// A vision tower's and a projector's settings, with the defaults that transformers fills in.
#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/model/config_bounds.h"
#include "striate/model/config_reader.h"

namespace striate {
namespace {

using nlohmann::json;

VisionActivation parse_activation(const std::string& name, const std::string& where) {
  if (name == "quick_gelu") return VisionActivation::kQuickGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return VisionActivation::kGeluTanh;
  if (name == "gelu") return VisionActivation::kGelu;
  throw unsupported(cat(where, ": activation \"", name, "\" is not implemented"),
                    "known: quick_gelu, gelu_pytorch_tanh, gelu");
}

// A side in pixels: a number, or two equal ones, as transformers 5 may write it.
std::int64_t side_of(const ConfigReader& config, const char* key, std::int64_t fallback) {
  constexpr std::int64_t kMost = 16384;
  if (!config.has(key) || !config.at(key).is_array()) return config.integer(key, fallback, 1, kMost);
  const json& sides = config.at(key);
  const bool square = sides.size() == 2 && sides[0] == sides[1] && sides[0].is_number_integer();
  if (!square || sides[0].get<std::int64_t>() < 1 || sides[0].get<std::int64_t>() > kMost) {
    throw config.wrong(key, "a number of pixels, or two equal ones");
  }
  return sides[0].get<std::int64_t>();
}

// What transformers fills in.
VisionConfig defaults_of(const std::string& type, const std::string& where) {
  if (type == "siglip" || type == "siglip_vision_model") {  // SiglipVisionConfig: siglip-base-patch16-224
    return {TowerKind::kSiglip, 224, 16, 3, 768, 3072, 12, 12, 1e-6, VisionActivation::kGeluTanh};
  }
  if (type == "clip" || type == "clip_vision_model") {  // CLIPVisionConfig: clip-vit-base-patch32
    return {TowerKind::kClip, 224, 32, 3, 768, 3072, 12, 12, 1e-5, VisionActivation::kQuickGelu};
  }
  throw unsupported(cat(where, ": vision tower \"", type, "\" is not implemented"), "known: CLIP ViT, SigLIP");
}

void check_shape(const VisionConfig& vision, const std::string& where) {
  if (vision.patch_size > vision.image_size) {
    throw corrupt_data(cat(where, ": a patch of ", vision.patch_size, " pixels in an image of ", vision.image_size),
                       "compare it with the published config.json of this model");
  }
  if (vision.grid() * vision.grid() > kMostPatches) {
    throw corrupt_data(cat(where, ": ", vision.grid(), " x ", vision.grid(), " patches of ", vision.patch_size,
                           " pixels in an image of ", vision.image_size),
                       "compare it with the published config.json of this model");
  }
  if (vision.hidden_size % vision.heads != 0) {
    throw corrupt_data(
        cat(where, ": hidden_size ", vision.hidden_size, " is not a multiple of ", vision.heads, " heads"),
        "compare it with the published config.json of this model");
  }
}

}  // namespace

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
  VisionConfig vision = defaults_of(type, where);
  vision.image_size = side_of(config, "image_size", vision.image_size);
  vision.patch_size = side_of(config, "patch_size", vision.patch_size);
  vision.channels = config.integer("num_channels", vision.channels, 1, 16);
  vision.hidden_size = config.integer("hidden_size", vision.hidden_size, 1, kMostWidth);
  vision.mlp_size = config.integer("intermediate_size", vision.mlp_size, 1, kMostWidth);
  vision.layers = config.integer("num_hidden_layers", vision.layers, 1, kMostLayers);
  vision.heads = config.integer("num_attention_heads", vision.heads, 1, kMostHeads);
  vision.layer_norm_eps = config.number("layer_norm_eps", vision.layer_norm_eps, kLeastNormEps, kMostNormEps);
  if (config.has("hidden_act")) vision.activation = parse_activation(config.text("hidden_act", ""), where);
  check_shape(vision, where);
  return vision;
}

}  // namespace striate
