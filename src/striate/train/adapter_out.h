// The results of a run, in formats that Striate, PEFT and transformers open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "striate/model/load.h"
#include "striate/train/tunable.h"

namespace striate {

// adapter_config.json and adapter_model.safetensors as PEFT saves a LoRA adapter, fp32; the projector, where it was
// trained, beside them as non_lora_trainables.safetensors (so LLaVA and Bunny name it), and the vision tower likewise.
// Keys are the model's own: for llava-hf models those of transformers 4.52 and later.
// `base` is written as base_model_name_or_path. Files appear whole, adapter_config.json last.
void write_adapter(const std::filesystem::path& folder, const Tunable& tunable, const Checkpoint& base);

// mm_projector.safetensors, fp32, which `projector` opens.
void write_projector(const std::filesystem::path& folder, const Tunable& tunable, const Checkpoint& base);

struct ModelOutOptions {
  std::optional<at::ScalarType> dtype;  // of every tensor; absent: each as in the base
  std::uint64_t max_shard_bytes = 5'000'000'000;
};

// A complete Hugging Face folder: the base's configuration and tokenizer files, and its tensors in its own naming, the
// trained ones replaced. One tensor is in memory at a time. Throws Unsupported for a model with adapters.
void write_model(const std::filesystem::path& folder, const Tunable& tunable, const Checkpoint& base,
                 const ModelOutOptions& options = {});

// Which of the three a stage and a kind of tuning make.
enum class OutcomeKind { kAdapter, kProjector, kModel };
OutcomeKind outcome_kind(const TuneMethod& tune);
// Whether `folder` has the files of such a result.
bool holds_outcome(const std::filesystem::path& folder, OutcomeKind kind);

// Writes whichever of the three the stage and kind of tuning make.
void write_outcome(const std::filesystem::path& folder, const Tunable& tunable, const Checkpoint& base,
                   const ModelOutOptions& options = {});

// What PEFT matches module names against, whole: the adapted linears of these layers, nothing on the vision tower.
std::string target_pattern(const Tunable& tunable);

}  // namespace striate
