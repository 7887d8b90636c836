// A small random LVLM built in memory, for tests that need a model but no goldens.
#pragma once

#include <memory>

#include "striate/model/lvlm.h"

namespace striate::test {

struct TinyModelOptions {
  DecoderKind kind = DecoderKind::kLlama;
  std::int64_t layers = 3;
  std::int64_t kv_heads = 2;
  std::int64_t max_positions = 128;
  at::ScalarType dtype = at::kFloat;
  std::optional<std::int64_t> sliding_window = std::nullopt;
  std::int64_t vocab_size = 96;
};

// Hidden 32, 4 heads; CLIP tower of 28 pixels (4 tokens an image). The same weights every time.
ModelConfig tiny_config(const TinyModelOptions& options = {});
// Writes its weights (original naming) as one safetensors file at `path`.
void write_tiny_weights(const std::filesystem::path& path, const TinyModelOptions& options = {});
// On the device that tests run on, or as `placement` says.
std::unique_ptr<Lvlm> tiny_model(const TinyModelOptions& options = {}, Compute compute = Compute::kFloat32);
std::unique_ptr<Lvlm> tiny_model_on(const Placement& placement, const TinyModelOptions& options = {});

// Features of image `index`: random, the same every time. [4, 16].
at::Tensor tiny_image(std::int64_t index);

// Sample `index` with its image and `text` tokens, of which the second half is learned; the same every time.
Sample tiny_sample(std::int64_t index, std::int64_t text);

}  // namespace striate::test
