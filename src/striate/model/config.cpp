// The whole configuration: which family a config.json is of, and how its parts fit together.
#include "striate/model/config.h"

#include <string_view>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/model/config_bounds.h"
#include "striate/model/config_reader.h"
#include "striate/model/tower_folder.h"
#include "striate/model/unsupported.h"

namespace striate {
namespace {

using nlohmann::json;

std::optional<std::vector<std::int64_t>> read_generation_eos(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "generation_config.json";
  if (!is_file(file)) return std::nullopt;
  const json root = read_json_file(file);
  const ConfigReader config(root, file.string());
  if (!config.has("eos_token_id")) return std::nullopt;
  return config.integer_or_integers("eos_token_id", {}, -1, kMostTokenId);
}

VisionConfig find_vision_config(const std::filesystem::path& folder,
                                const std::optional<std::filesystem::path>& vision_folder, const std::string& name) {
  if (vision_folder) {
    const std::filesystem::path file = *vision_folder / "config.json";
    return parse_vision_config(read_json_file(file), file.string());
  }
  if (const auto inside = tower_folder_inside(folder, name)) {
    const std::filesystem::path file = folder / *inside / "config.json";
    if (path_exists(file)) return parse_vision_config(read_json_file(file), file.string());
  }
  if (const auto known = published_tower(name)) return *known;
  throw invalid_input(cat(folder.string(), ": the configuration of its vision tower \"", name, "\" was not found"),
                      "give it with `vision_tower` DIR");
}

// Keys that LLaVA and Bunny put beside the decoder's own.
void read_multimodal(ModelConfig& model, const ConfigReader& config, const std::filesystem::path& folder,
                     const std::optional<std::filesystem::path>& vision_folder) {
  if (!config.has("mm_vision_tower") && !vision_folder) return;
  model.vision_tower_name = config.text("mm_vision_tower", "");
  VisionConfig vision = find_vision_config(folder, vision_folder, model.vision_tower_name);
  vision.feature_layer = config.integer("mm_vision_select_layer", -2, -kMostLayers, kMostLayers);
  const std::string select = config.text("mm_vision_select_feature", "patch");
  vision.keep_class_token = select == "cls_patch" && vision.kind == TowerKind::kClip;
  model.vision = vision;
  model.projector =
      ProjectorConfig{parse_projector_type(config.text("mm_projector_type", "linear"), config.where()),
                      config.integer("mm_hidden_size", vision.hidden_size, 1, kMostWidth), model.decoder.hidden_size};
  model.pad_to_square = config.text("image_aspect_ratio", "square") == "pad";
}

ModelConfig read_llava_hf(const json& root, const std::string& where) {
  const ConfigReader config(root, where);
  ModelConfig model;
  model.family = Family::kLlavaHf;
  for (const char* part : {"text_config", "vision_config"}) {
    if (root.contains(part)) refuse_unsupported_settings(root.at(part), cat(where, ": ", part));
  }
  if (!config.has("text_config") || !config.has("vision_config")) {
    throw corrupt_data(where + ": text_config or vision_config is missing",
                       "check that it is the config.json of a llava-hf checkpoint");
  }
  const ConfigReader text(config.at("text_config"), where + ": text_config");
  const std::string type = text.text("model_type", "llama");
  if (type != "llama" && type != "phi3") {
    throw unsupported(cat(where, ": text model \"", type, "\" is not implemented"), "known: llama, phi3");
  }
  model.decoder = parse_decoder_config(config.at("text_config"),
                                       type == "phi3" ? DecoderKind::kPhi3 : DecoderKind::kLlama, text.where());
  // Either place ties them, as in transformers 5.
  if (config.boolean("tie_word_embeddings", false)) model.decoder.tie_embeddings = true;
  nlohmann::json tower = config.at("vision_config");
  if (tower.is_object() && !tower.contains("model_type")) tower["model_type"] = "clip_vision_model";
  VisionConfig vision = parse_vision_config(tower, where + ": vision_config");
  if (config.has("vision_feature_layer") && !config.at("vision_feature_layer").is_number_integer()) {
    throw unsupported(where + ": several vision_feature_layers are not implemented", "use a model with one");
  }
  vision.feature_layer = config.integer("vision_feature_layer", -2, -kMostLayers, kMostLayers);
  const bool full = config.text("vision_feature_select_strategy", "default") == "full";
  if (!full && vision.kind == TowerKind::kSiglip) {
    throw unsupported(where + R"(: "vision_feature_select_strategy" is "default", which drops SigLIP's first patch)",
                      "set it to \"full\" if the model was trained on all patches");
  }
  vision.keep_class_token = full && vision.kind == TowerKind::kClip;
  model.vision = vision;
  model.projector = ProjectorConfig{2, vision.hidden_size, model.decoder.hidden_size};
  // llava-hf spells the same token both ways, before and after transformers 4.50.
  if (config.has("image_token_index")) model.image_token_id = config.integer("image_token_index", 0, 0, kMostTokenId);
  if (config.has("image_token_id")) model.image_token_id = config.integer("image_token_id", 0, 0, kMostTokenId);
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
                           " features, but the vision tower gives ", vision.hidden_size),
                       "check that it is the right vision tower");
  }
}

// Every family whose config.json is the decoder's own, with LLaVA's and Bunny's keys beside them.
ModelConfig read_flat(const json& root, const std::string& type, const std::filesystem::path& folder,
                      const std::optional<std::filesystem::path>& vision_folder) {
  struct Known {
    std::string_view type;
    Family family;
    DecoderKind kind;
  };
  static constexpr Known kKnown[] = {{"llava", Family::kLlavaOriginal, DecoderKind::kLlama},
                                     {"llava_llama", Family::kLlavaOriginal, DecoderKind::kLlama},
                                     {"bunny-llama", Family::kBunnyLlama, DecoderKind::kLlama},
                                     {"bunny-phi3", Family::kBunnyPhi3, DecoderKind::kPhi3},
                                     {"llama", Family::kTextLlama, DecoderKind::kLlama},
                                     {"phi3", Family::kTextPhi3, DecoderKind::kPhi3}};
  const std::string file = (folder / "config.json").string();
  for (const Known& known : kKnown) {
    if (type != known.type) continue;
    ModelConfig model;
    model.family = known.family;
    model.decoder = parse_decoder_config(root, known.kind, file);
    read_multimodal(model, ConfigReader(root, file), folder, vision_folder);
    return model;
  }
  throw unsupported(cat(file, ": unknown architecture \"", type, "\""),
                    "known model_type: llava, llava_llama, bunny-llama, bunny-phi3, llama, phi3");
}

}  // namespace

ModelConfig read_model_config(const std::filesystem::path& folder,
                              const std::optional<std::filesystem::path>& vision_folder) {
  const std::filesystem::path file = folder / "config.json";
  if (!is_folder(folder)) {
    throw invalid_input(folder.string() + ": no such folder", "give a Hugging Face model folder (with config.json)");
  }
  if (!path_exists(file)) {
    throw invalid_input(folder.string() + ": the folder has no config.json", "give a Hugging Face model folder");
  }
  json root = read_json_file(file);
  const ConfigReader config(root, file.string());
  refuse_unsupported_settings(root, file.string());
  const std::string type = config.text("model_type", "");
  const bool nested = type == "llava" && config.has("text_config");
  ModelConfig model = nested ? read_llava_hf(root, file.string()) : read_flat(root, type, folder, vision_folder);
  check_vision(model, file.string());
  model.generation_eos_ids = read_generation_eos(folder);
  model.raw = std::move(root);
  return model;
}

}  // namespace striate
