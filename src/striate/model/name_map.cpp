#include "striate/model/name_map.h"

#include <array>
#include <string_view>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

struct Prefix {
  std::string_view file;
  std::string_view canonical;
};

// Longest first: the first that fits wins.
constexpr std::array kPrefixes = {
    Prefix{"model.vision_tower.vision_tower.vision_model.", "vision."},
    Prefix{"vision_tower.vision_tower.vision_model.", "vision."},
    Prefix{"model.vision_tower.vision_model.", "vision."},
    Prefix{"vision_tower.vision_model.", "vision."},
    Prefix{"model.vision_tower.", "vision."},
    Prefix{"vision_tower.", "vision."},
    Prefix{"vision_model.", "vision."},
    Prefix{"language_model.model.", "model."},
    Prefix{"model.language_model.", "model."},
    Prefix{"language_model.lm_head.", "lm_head."},
    Prefix{"language_model.", "model."},
    Prefix{"model.multi_modal_projector.linear_", "projector.hf."},
    Prefix{"multi_modal_projector.linear_", "projector.hf."},
    Prefix{"model.mm_projector.", "projector."},
    Prefix{"mm_projector.", "projector."},
    Prefix{"lm_head.", "lm_head."},
    Prefix{"model.embed_tokens.", "model.embed_tokens."},
    Prefix{"model.layers.", "model.layers."},
    Prefix{"model.norm.", "model.norm."},
    // What transformers 5 saves of a vision tower alone.
    Prefix{"embeddings.", "vision.embeddings."},
    Prefix{"pre_layrnorm.", "vision.pre_layrnorm."},
    Prefix{"encoder.layers.", "vision.encoder.layers."},
    Prefix{"post_layernorm.", "vision.post_layernorm."},
    Prefix{"head.", "vision.head."},
    // And of a decoder without its head.
    Prefix{"embed_tokens.", "model.embed_tokens."},
    Prefix{"layers.", "model.layers."},
    Prefix{"norm.", "model.norm."},
};

// SigLIP's pooling head comes after the last layer and plays no part in an LVLM; rotary tables are recomputed.
bool is_unused(std::string_view canonical) {
  return canonical.starts_with("vision.head.") || canonical.ends_with("rotary_emb.inv_freq") ||
         canonical.ends_with("embeddings.position_ids");
}

// "1.weight" (llava-hf counts linears from 1) to "0.weight" (module index).
std::string from_linear_number(std::string_view rest) {
  const std::size_t dot = rest.find('.');
  const std::string digits(rest.substr(0, dot));
  const bool number = !digits.empty() && digits.size() <= 2 && digits.find_first_not_of("0123456789") == digits.npos;
  if (dot == std::string_view::npos || !number) return std::string(rest);
  return cat(2 * (std::stoi(digits) - 1), rest.substr(dot));
}

}  // namespace

std::optional<std::string> canonical_name(const std::string& file_name) {
  std::string_view name = file_name;
  constexpr std::string_view kPeft = "base_model.model.";
  if (name.starts_with(kPeft)) name.remove_prefix(kPeft.size());
  for (const Prefix& prefix : kPrefixes) {
    if (!name.starts_with(prefix.file)) continue;
    const std::string_view rest = name.substr(prefix.file.size());
    std::string canonical;
    if (prefix.canonical == "projector.hf.") {
      canonical = "projector." + from_linear_number(rest);
    } else if (prefix.canonical == "projector." && (rest == "weight" || rest == "bias")) {
      canonical = cat("projector.0.", rest);  // `linear`: one module, no index
    } else {
      canonical = cat(prefix.canonical, rest);
    }
    if (is_unused(canonical)) return std::nullopt;
    return canonical;
  }
  return std::nullopt;
}

std::string file_name(const std::string& canonical, Naming naming) {
  const std::string_view name = canonical;
  const auto with = [&](std::string_view from, std::string_view to) { return cat(to, name.substr(from.size())); };
  if (name.starts_with("vision.")) {
    switch (naming) {
      case Naming::kLlavaHf:
        return with("vision.", "vision_tower.vision_model.");
      case Naming::kLlavaHfNew:
        return with("vision.", "model.vision_tower.vision_model.");
      case Naming::kOriginal:
        return with("vision.", "model.vision_tower.vision_tower.vision_model.");
    }
  }
  if (name.starts_with("projector.")) {
    if (naming == Naming::kOriginal) return with("projector.", "model.mm_projector.");
    const std::vector<std::string> parts = split(name, '.');
    const std::string linear = cat("linear_", std::stoi(parts.at(1)) / 2 + 1, ".", parts.at(2));
    return (naming == Naming::kLlavaHf ? "multi_modal_projector." : "model.multi_modal_projector.") + linear;
  }
  switch (naming) {
    case Naming::kLlavaHf:
      return "language_model." + canonical;
    case Naming::kLlavaHfNew:
      return name.starts_with("model.") ? with("model.", "model.language_model.") : canonical;
    case Naming::kOriginal:
      return canonical;
  }
  throw internal_error("unknown naming");
}

std::string naming_title(Naming naming) {
  switch (naming) {
    case Naming::kLlavaHf:
      return "llava-hf";
    case Naming::kLlavaHfNew:
      return "llava-hf (transformers 4.52 and later)";
    case Naming::kOriginal:
      return "LLaVA/Bunny original";
  }
  throw internal_error("unknown naming");
}

}  // namespace striate
