// Checkpoints made from nothing: any known architecture, full-size or scaled, with random weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "striate/model/architectures.h"
#include "striate/model/config.h"
#include "striate/model/random_weights.h"

namespace striate {

struct InitRequest {
  std::string arch;              // a name of architectures(); empty: llava-1.5-7b, with `size`
  std::string size;              // "tiny" or "small": a small model of this architecture; empty: as published
  std::optional<Layout> layout;  // the architecture's usual one when absent
  ShapeChanges changes;
  at::ScalarType dtype = at::kBFloat16;  // or fp16, fp32
  std::uint64_t max_shard_bytes = 5'000'000'000;
  // A folder or file whose tokenizer the model gets; its vocabulary is then the tokenizer's, padded to a multiple of 64
  // (which makes it the published models' own), and rows that no token has are zero.
  std::optional<std::filesystem::path> tokenizer;
  // In place of a path: the bytes of a tokenizer.model. They must outlive the call.
  std::string_view tokenizer_model = {};
  WeightScale scale;
  std::uint64_t seed = 0;
  std::filesystem::path out;
};

struct InitResult {
  ModelConfig config;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;  // of the weights
  std::size_t weight_files = 0;
  std::optional<std::string> tokenizer;  // its description
};

// Called after every tensor with the bytes written so far and in all.
using InitProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Writes a complete Hugging Face folder: configuration, tokenizer, safetensors in shards with their index, and
// striate.json, which says that the weights are random. Memory stays near the largest tensor; the same seed gives the
// same bytes whatever the number of threads. The folder appears whole or not at all: it is written beside `out` and
// moved there. Throws InvalidInput (unknown architecture or none, impossible shape, `out` is in use, a vocabulary too
// small for the tokenizer), ResourceError (disk full).
InitResult init_model(const InitRequest& request, const InitProgress& progress = {});

}  // namespace striate
