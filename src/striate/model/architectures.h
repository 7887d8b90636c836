// The architectures Striate can make from nothing: the published shapes, and smaller ones of the same kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "striate/model/config.h"

namespace striate {

// Sizes that differ from the published model's; whatever is absent follows the architecture. A width without its heads
// keeps the published head size, and without its MLP size the published proportion.
struct ShapeChanges {
  std::optional<std::int64_t> layers, hidden, heads, kv_heads, head_dim, mlp, vocab, max_positions, sliding_window;
  std::optional<double> rope_theta;
  bool tie_embeddings = false;
  std::optional<std::int64_t> vision_layers, vision_hidden, vision_heads, vision_mlp, image_size, patch_size;
  std::optional<std::string> projector;  // linear, mlpNx_gelu
};

// How a LLaVA checkpoint is laid out. Bunny has one layout of its own (kOriginal), language models alone one (kHf).
enum class Layout { kHf, kOriginal };

// One architecture by name, at its published size.
struct Architecture {
  std::string name;
  std::string title;  // what it is, for help and hints
  ModelConfig config;
};

// Every architecture, in the order help shows them.
const std::vector<Architecture>& architectures();

// Throws InvalidInput for an unknown name; the hint gives the nearest, or all.
const Architecture& find_architecture(const std::string& name);

// A small model of the same kind in one word: "tiny" (about 0.7 M parameters: tests, first steps) or "small" (about 8
// M: it learns simple things in minutes on a CPU). Eight decoder layers, so that regions and pruning have something to
// choose from; a vision tower where `arch` has one. What `changes` says already stays. Throws InvalidInput for another
// word.
ShapeChanges sized(const Architecture& arch, const std::string& size, ShapeChanges changes);

// The configuration of `arch` in `layout` (nullopt: the usual one) with `changes`.
// Throws InvalidInput, naming the flag, for a combination that makes no model: heads that do not divide the width, a
// patch larger than the image, vision sizes for a language model alone, a projector llava-hf cannot name...
ModelConfig shaped_config(const Architecture& arch, std::optional<Layout> layout, const ShapeChanges& changes);

}  // namespace striate
