// Models as llama.cpp opens them: a GGUF file of the language model, and one of vision tower and projector (`mmproj`).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "striate/edit/model_change.h"
#include "striate/files/gguf_format.h"

namespace striate {

struct GgufOptions {
  // Of the matrices. Norms, biases, position embeddings and Llama-3.1's rotary factors are always f32, patch kernels
  // f16 in an f16 file and else f32; q8_0 needs rows of whole blocks of 32 numbers, others become f16.
  GgufType type = GgufType::kFloat16;
  std::optional<GgufType> vision_type;        // default: `type`; f16 where that is q8_0
  bool with_vision = true;                    // write `mmproj`, where the model sees
  std::string name;                           // general.name, and the files' names
  std::vector<std::int64_t> original_layers;  // of a pruned model: written as striate.original_layers
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  // bytes written
};

struct GgufFileSummary {
  std::filesystem::path path;
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;  // of the file
};

struct GgufExport {
  GgufFileSummary text;
  std::optional<GgufFileSummary> vision;
};

// Writes NAME-F16.gguf (F32, BF16, Q8_0) and, for a model that sees, mmproj-NAME-F16.gguf into `folder`
// (AtomicFolder::path(), where they must appear whole). One tensor is in memory at a time; adapters are merged and
// layers removed as `change` says.
// Throws what planned_tensors() and gguf_tokenizer() throw, Unsupported (see require_gguf_support(); numbers the type
// cannot hold), Resource when the disk is full.
GgufExport write_gguf(const std::filesystem::path& folder, const Checkpoint& source, const ModelChange& change,
                      const GgufOptions& options);

// "f32", "f16", "bf16", "q8_0". Throws InvalidInput, naming `flag`, for others.
GgufType parse_gguf_type(const std::string& text, const std::string& flag);

}  // namespace striate
