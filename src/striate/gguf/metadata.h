// What a GGUF file says of a model besides its tensors and tokenizer: the keys that llama.cpp reads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "striate/files/gguf_format.h"
#include "striate/image/image.h"
#include "striate/model/config.h"

namespace striate {

// The keys of the language model, architecture `llama` or `phi3`. `name` becomes general.name, `parameters` the size
// label ("7.1B"), `type` general.file_type.
GgufMetadata gguf_text_metadata(const ModelConfig& config, const std::string& name, std::uint64_t parameters,
                                GgufType type);

// The keys of the vision tower and projector, architecture `clip`, projector type `mlp`. The feature layer is named, so
// that programs run as many layers as the file has.
GgufMetadata gguf_vision_metadata(const ModelConfig& config, const PreprocessConfig& pixels, const std::string& name,
                                  GgufType type);

// Llama-3.1's stretched rotary frequencies as llama.cpp's `rope_freqs.weight`: what each frequency is divided by,
// [head_dim / 2] fp32. nullopt where they are not stretched so.
std::optional<at::Tensor> gguf_rope_factors(const DecoderConfig& config);

// Throws Unsupported, with a hint, for what llama.cpp would run as another model: a Phi-3 whose heads are not as wide
// together as the stream, a projector other than mlp2x_gelu, a tower that keeps its class token, has an exact GELU, or
// an MLP as wide as its stream (there llama.cpp takes the MLP's two matrices for each other).
void require_gguf_support(const ModelConfig& config);

}  // namespace striate
