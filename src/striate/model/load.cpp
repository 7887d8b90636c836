#include "striate/model/load.h"

#include <algorithm>
#include <array>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/model/adapter_base.h"
#include "striate/model/adapter_file.h"
#include "striate/model/config_writer.h"
#include "striate/model/given_files.h"
#include "striate/model/picture_settings.h"
#include "striate/model/tower_folder.h"
#include "striate/model/unsupported.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// A projector file, or the one inside a folder.
fs::path find_projector(const fs::path& path) {
  if (!is_folder(path)) return path;
  for (const char* name :
       {"mm_projector.bin", "mm_projector.safetensors", "non_lora_trainables.bin", "non_lora_trainables.safetensors"}) {
    if (path_exists(path / name)) return path / name;
  }
  throw invalid_input(path.string() + ": the folder has no projector", "give the file itself, e.g. mm_projector.bin");
}

bool has_vision(const WeightSource& weights) {
  return weights.find("vision.embeddings.patch_embedding.weight") != nullptr;
}

// The projector's shape from its file: parts come without a config that says it.
ProjectorConfig projector_config(const WeightSource& weights, const std::string& where) {
  ProjectorConfig config;
  config.depth = 0;
  while (const WeightSource::Entry* entry = weights.find(cat("projector.", 2 * config.depth, ".weight"))) {
    if (entry->info->shape.size() != 2) {
      throw corrupt_data(cat(where, ": tensor ", entry->info->name, " is not a matrix"),
                         "check that it is a projector file");
    }
    if (config.depth == 0) config.in_size = entry->info->shape[1];
    config.out_size = entry->info->shape[0];
    ++config.depth;
  }
  if (config.depth == 0) {
    throw corrupt_data(where + ": the file has no projector tensors",
                       "a projector file holds model.mm_projector.0.weight ...");
  }
  return config;
}

// The family that parts make: the conversation template follows from the language model and tower.
Family family_of_parts(const DecoderConfig& decoder, const VisionConfig& vision) {
  constexpr std::int64_t kLlama3Vocabulary = 128000;
  if (decoder.kind == DecoderKind::kPhi3) return Family::kBunnyPhi3;
  if (decoder.vocab_size >= kLlama3Vocabulary || vision.kind == TowerKind::kSiglip) return Family::kBunnyLlama;
  return Family::kLlavaOriginal;
}

// A file of weights of which every tensor has a place in the model.
std::shared_ptr<const WeightFile> open_in_full(const fs::path& file, const Checkpoint& checkpoint) {
  std::shared_ptr<const WeightFile> weights = open_weight_file(file);
  require_used_in_full(*weights, file, checkpoint.config);
  return weights;
}

Checkpoint open_parts(const ModelPaths& paths) {
  if (!paths.vision_tower || !paths.projector) {
    throw invalid_input("`llm` needs `vision_tower` and `projector`",
                        "give both, or open a whole model with `model` DIR");
  }
  require_model_folder(*paths.llm);
  Checkpoint checkpoint{read_model_config(*paths.llm), {}, *paths.llm, paths.adapter};
  ModelConfig& config = checkpoint.config;
  const fs::path tower_config = *paths.vision_tower / "config.json";
  config.vision = parse_vision_config(read_json_file(tower_config), tower_config.string());
  const fs::path projector = find_projector(*paths.projector);
  checkpoint.weights.add(open_weight_directory(*paths.vision_tower));
  checkpoint.weights.add(open_weight_directory(*paths.llm));
  const auto projector_weights = open_weight_file(projector);
  checkpoint.weights.add(projector_weights);
  checkpoint.of_parts = true;
  config.projector = projector_config(checkpoint.weights, projector.string());
  if (config.projector->in_size != config.vision->hidden_size ||
      config.projector->out_size != config.decoder.hidden_size) {
    throw invalid_input(cat(projector.string(), ": projects ", config.projector->in_size, " to ",
                            config.projector->out_size, ", but the vision tower gives ", config.vision->hidden_size,
                            " and the language model takes ", config.decoder.hidden_size),
                        "use the projector that was trained for these two models");
  }
  config.family = family_of_parts(config.decoder, *config.vision);
  config.vision_tower_name = tower_folder_name(config.vision->kind);
  config.tower_folder = *paths.vision_tower;
  config.pad_to_square = true;
  require_used_in_full(*projector_weights, projector, config);
  return checkpoint;
}

Checkpoint open_whole(const ModelPaths& paths) {
  require_model_folder(*paths.model);
  Checkpoint checkpoint{read_model_config(*paths.model, paths.vision_tower), {}, *paths.model, paths.adapter};
  ModelConfig& config = checkpoint.config;
  config.tower_folder = paths.vision_tower;
  auto own = open_weight_directory(*paths.model);
  // Later files win: the checkpoint's own (perhaps tuned) tower stands before the published one.
  if (paths.vision_tower) {
    checkpoint.weights.add(open_weight_directory(*paths.vision_tower));
    checkpoint.weights.add(std::move(own));
  } else {
    checkpoint.weights.add(std::move(own));
    const auto tower = tower_folder_inside(*paths.model, config.vision_tower_name);
    if (config.vision && tower && !has_vision(checkpoint.weights)) {
      checkpoint.weights.add(open_weight_directory(*paths.model / *tower));
    }
  }
  if (paths.projector) checkpoint.weights.add(open_in_full(find_projector(*paths.projector), checkpoint));
  return checkpoint;
}

// What the user asks for, else what the adapter or the projector was trained with.
std::optional<bool> padding_asked(const ModelPaths& paths) {
  if (paths.pad_to_square) return paths.pad_to_square;
  if (paths.adapter) {
    if (const auto recorded = recorded_padding(*paths.adapter)) return recorded;
  }
  if (!paths.projector) return std::nullopt;
  return recorded_padding(is_folder(*paths.projector) ? *paths.projector : paths.projector->parent_path());
}

}  // namespace

Checkpoint open_checkpoint(const ModelPaths& paths) {
  if (paths.model.has_value() == paths.llm.has_value()) {
    throw invalid_input(paths.model ? "`model` and `llm` exclude each other" : "no model was given",
                        "give `model` DIR, or `llm` DIR `vision_tower` DIR `projector` FILE");
  }
  Checkpoint checkpoint = paths.llm ? open_parts(paths) : open_whole(paths);
  if (paths.adapter) {
    if (!is_folder(*paths.adapter)) {
      throw invalid_input(paths.adapter->string() + ": no such folder", "give a folder with adapter_config.json");
    }
    check_adapter_base(*paths.adapter, checkpoint);
    if (const auto extra = find_non_lora(*paths.adapter)) checkpoint.weights.add(open_in_full(*extra, checkpoint));
  }
  refuse_unsupported_tensors(checkpoint.weights);
  checkpoint.config.padding_asked = padding_asked(paths);
  return checkpoint;
}

std::unique_ptr<Lvlm> load_model(const Checkpoint& checkpoint, const Placement& placement) {
  refuse_leftover_tensors(checkpoint.config, checkpoint.weights);
  auto model = std::make_unique<Lvlm>(checkpoint.config, checkpoint.weights, placement);
  if (checkpoint.adapter) apply_adapter(*model, *checkpoint.adapter);
  return model;
}

}  // namespace striate
