// Exported GGUF files, opened again and compared with the model they were made from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "striate/region/gguf_export.h"
#include "striate/tensor/weight_file.h"

namespace striate {

// The tensors of GGUF files under LLaVA's original names, with Hugging Face's order of rows: a model (`config`) that
// opens from them is the one they were written from, within the type's rounding. q8_0 loads as fp32.
// Throws what GgufFile::open() throws, and CorruptData for a tensor that is missing or of another shape.
std::shared_ptr<const WeightFile> open_gguf_weights(const std::filesystem::path& text,
                                                    const std::optional<std::filesystem::path>& vision,
                                                    const ModelConfig& config);

struct GgufCheck {
  // The largest difference of one number, in half steps of its type there: up to 1 is rounding, 0 is none.
  double tensor_steps = 0.0;
  std::string tensor;  // the name in the file of the tensor that has it; "" when all are equal
  // Logits of a fixed prompt (and picture): the largest difference, over the largest logit.
  double logits = 0.0;
  double tolerance = 0.0;
  bool passed() const { return tensor_steps <= 1.0 && logits <= tolerance; }
};

// Compares every tensor with its source, then the logits of both models on a fixed prompt (with a picture, where
// `exported` has a vision tower), computed in fp32 one layer at a time: two layers are in memory, and the embeddings.
// Throws as open_gguf_weights().
GgufCheck check_gguf(const GgufExport& exported, const Checkpoint& source, const ModelChange& change);

}  // namespace striate
