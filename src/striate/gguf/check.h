// Exported GGUF files, opened again and compared with the model they were made from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/edit/logits_check.h"
#include "striate/files/weight_file.h"
#include "striate/gguf/export.h"

namespace striate {

// The tensors of GGUF files under LLaVA's original names, with Hugging Face's order of rows: a model (`config`) that
// opens from them is the one they were written from, within the type's rounding. q8_0 loads as fp32.
// Throws what GgufFile::open() throws, and CorruptData for a tensor that is missing or of another shape.
std::shared_ptr<const WeightFile> open_gguf_weights(const std::filesystem::path& text,
                                                    const std::optional<std::filesystem::path>& vision,
                                                    const ModelConfig& config);

struct GgufTensorCheck {
  std::uint64_t tensors = 0;
  // The largest difference of one number from its source, in half steps of its type there: up to 1 is rounding.
  double half_steps = 0.0;
  std::string tensor;  // the name in the file of the tensor that has it; "" when all are equal
};

// Every tensor of the files against its source.
GgufTensorCheck check_gguf_tensors(const GgufExport& exported, const Checkpoint& source, const ModelChange& change);

// Throws Resource when a tensor differs by more than rounding.
void require_same_tensors(const GgufTensorCheck& check, const std::string& what);

// The inputs that the files can compute: without `mmproj`, those without a picture.
std::vector<ProbeInput> gguf_inputs(const GgufExport& exported, const ModelConfig& config);

// Logits of every position of every input (logits_check.h), computed from the files in fp32 with one layer in memory at
// a time (and the embeddings). `config` is the exported model's.
std::vector<at::Tensor> gguf_logits(const GgufExport& exported, const ModelConfig& config,
                                    const std::vector<ProbeInput>& inputs);

// How far the logits may differ, as a share of the largest (logits_tolerance()): of equal weights, or of weights
// rounded to the files' coarsest type (u = 2^-11 of f16, 2^-8 of bf16, 2^-7 of q8_0).
double gguf_tolerance(const GgufExport& exported, const ModelConfig& config, const GgufTensorCheck& check);

}  // namespace striate
