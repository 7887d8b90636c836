// Opening models: a Hugging Face folder, or parts, and adapters on top.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "striate/model/config.h"
#include "striate/model/lvlm.h"
#include "striate/model/placement.h"
#include "striate/model/weight_source.h"

namespace striate {

// What the user names. Either `model`, or `llm` with `vision_tower` and `projector`; `adapter` on top of both.
// With `model`, `vision_tower` fills in the tower's config and weights where the checkpoint lacks them, and `projector`
// replaces the checkpoint's.
struct ModelPaths {
  std::optional<std::filesystem::path> model;
  std::optional<std::filesystem::path> llm;
  std::optional<std::filesystem::path> vision_tower;
  std::optional<std::filesystem::path> projector;  // mm_projector.bin, *.safetensors, or a folder with one
  std::optional<std::filesystem::path> adapter;
  // How pictures become square: padded, or cropped. Absent: as recorded beside the adapter or the projector
  // (picture_settings.h), else as the model's files say.
  std::optional<bool> pad_to_square = std::nullopt;
};

// A model whose files are open and whose headers are read; no weights yet.
struct Checkpoint {
  ModelConfig config;
  WeightSource weights;
  std::filesystem::path folder;  // where config, tokenizer and preprocessor files are
  std::optional<std::filesystem::path> adapter;
  bool of_parts = false;  // `llm`, `vision_tower` and `projector`
};

// Throws InvalidInput (a path is missing, or the combination makes no model), CorruptData, Unsupported.
Checkpoint open_checkpoint(const ModelPaths& paths);

// Maps the weights and builds the model, adapters included. Peak memory is the model's bytes in the type it is kept in:
// on the CPU weights stay in the mapped files. What the placement says is quantised one matrix at a time: codes take
// memory, and of what they are made of one matrix at most. Throws CorruptData when a tensor is missing, of another
// shape, or not finite where it is quantised.
std::unique_ptr<Lvlm> load_model(const Checkpoint& checkpoint, const Placement& placement);

// Puts a PEFT LoRA adapter (adapter_config.json + adapter_model.safetensors|bin; the authors' naming and PEFT's) around
// the model's linears. Throws what AdapterFile throws, and CorruptData for a pair that does not fit or a layer that the
// model does not have.
void apply_adapter(Lvlm& model, const std::filesystem::path& folder);

}  // namespace striate
