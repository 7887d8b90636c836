// How llama.cpp names a model's tensors and lays them out (its gguf-py/gguf/constants.py, tools/mtmd/clip-impl.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "striate/model/config.h"

namespace striate {

// The two files of a model that sees.
enum class GgufPart { kText, kVision };

struct GgufName {
  std::string name;  // "blk.3.attn_q.weight"
  GgufPart part;
  // Heads whose rows are put in another order; 0: as they are. llama.cpp rotates neighbours (2 i, 2 i + 1) in its
  // architecture `llama`, where Hugging Face rotates (i, i + d / 2): rows of a head go from [2, d / 2] to [d / 2, 2].
  std::int64_t interleaved_heads = 0;
};

// The name of a canonical one (model/name_map.h); nullopt for what the files do not hold: vision layers after the
// feature layer, and CLIP's last norm, which no LVLM reads.
std::optional<GgufName> gguf_name(const std::string& canonical, const ModelConfig& config);

// Rows as llama.cpp wants them, and back: [heads * d] or [heads * d, in], d even. `heads` 0 changes nothing.
at::Tensor interleave_heads(const at::Tensor& rows, std::int64_t heads);
at::Tensor separate_heads(const at::Tensor& rows, std::int64_t heads);

}  // namespace striate
