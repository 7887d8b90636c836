#include "striate/model/load.h"

#include <algorithm>
#include <array>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/adapter_file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// A projector file, or the one inside a folder.
fs::path find_projector(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const char* name :
       {"mm_projector.bin", "mm_projector.safetensors", "non_lora_trainables.bin", "non_lora_trainables.safetensors"}) {
    if (fs::exists(path / name)) return path / name;
  }
  throw invalid_input(path.string() + ": no projector in it", "give the file itself, e.g. mm_projector.bin");
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
      throw corrupt_data(cat(where, ": tensor ", entry->info->name, " is not a matrix"), "is it a projector file?");
    }
    if (config.depth == 0) config.in_size = entry->info->shape[1];
    config.out_size = entry->info->shape[0];
    ++config.depth;
  }
  if (config.depth == 0) {
    throw corrupt_data(where + ": no projector tensors in it",
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

Checkpoint open_parts(const ModelPaths& paths) {
  if (!paths.vision_tower || !paths.projector) {
    throw invalid_input("--llm needs --vision-tower and --projector beside it",
                        "a whole model is opened with --model DIR");
  }
  Checkpoint checkpoint{read_model_config(*paths.llm), {}, *paths.llm, paths.adapter};
  ModelConfig& config = checkpoint.config;
  const fs::path tower_config = *paths.vision_tower / "config.json";
  config.vision = parse_vision_config(read_json_file(tower_config), tower_config.string());
  const fs::path projector = find_projector(*paths.projector);
  checkpoint.weights.add(open_weight_directory(*paths.vision_tower));
  checkpoint.weights.add(open_weight_directory(*paths.llm));
  checkpoint.weights.add(open_weight_file(projector));
  config.projector = projector_config(checkpoint.weights, projector.string());
  if (config.projector->in_size != config.vision->hidden_size ||
      config.projector->out_size != config.decoder.hidden_size) {
    throw invalid_input(cat(projector.string(), ": projects ", config.projector->in_size, " to ",
                            config.projector->out_size, ", the vision tower gives ", config.vision->hidden_size,
                            " and the language model takes ", config.decoder.hidden_size),
                        "use the projector that was trained for this pair");
  }
  config.family = family_of_parts(config.decoder, *config.vision);
  config.vision_tower_name = fs::absolute(*paths.vision_tower).string();
  config.pad_to_square = true;
  return checkpoint;
}

Checkpoint open_whole(const ModelPaths& paths) {
  Checkpoint checkpoint{read_model_config(*paths.model, paths.vision_tower), {}, *paths.model, paths.adapter};
  const ModelConfig& config = checkpoint.config;
  auto own = open_weight_directory(*paths.model);
  // Later files win: the checkpoint's own (perhaps tuned) tower stands before the published one.
  if (paths.vision_tower) {
    checkpoint.weights.add(open_weight_directory(*paths.vision_tower));
    checkpoint.weights.add(std::move(own));
  } else {
    checkpoint.weights.add(std::move(own));
    const fs::path beside = *paths.model / config.vision_tower_name;
    const bool named = !config.vision_tower_name.empty() && config.vision_tower_name.find("..") == std::string::npos;
    if (config.vision && named && !has_vision(checkpoint.weights) && fs::is_directory(beside)) {
      checkpoint.weights.add(open_weight_directory(beside));
    }
  }
  if (paths.projector) checkpoint.weights.add(open_weight_file(find_projector(*paths.projector)));
  return checkpoint;
}

}  // namespace

Checkpoint open_checkpoint(const ModelPaths& paths) {
  if (paths.model.has_value() == paths.llm.has_value()) {
    throw invalid_input(paths.model ? "--model and --llm cannot be given together" : "no model was given",
                        "give --model DIR, or --llm DIR --vision-tower DIR --projector FILE");
  }
  Checkpoint checkpoint = paths.llm ? open_parts(paths) : open_whole(paths);
  if (paths.adapter) {
    if (!fs::is_directory(*paths.adapter)) {
      throw invalid_input(paths.adapter->string() + ": no such folder", "give a folder with adapter_config.json");
    }
    if (const auto extra = find_non_lora(*paths.adapter)) checkpoint.weights.add(open_weight_file(*extra));
  }
  return checkpoint;
}

std::unique_ptr<Lvlm> load_model(const Checkpoint& checkpoint, const Placement& placement) {
  auto model = std::make_unique<Lvlm>(checkpoint.config, checkpoint.weights, placement);
  if (checkpoint.adapter) apply_adapter(*model, *checkpoint.adapter);
  return model;
}

}  // namespace striate
