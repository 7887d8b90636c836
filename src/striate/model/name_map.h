// The naming schemes of published checkpoints, and the one set of names the code uses.
//
// Canonical names: `model.embed_tokens.weight`, `model.layers.N.…`, `model.norm.weight`, `lm_head.weight` for the
// decoder; `vision.` + the name inside transformers' vision_model for the tower; `projector.I.weight|bias` for the
// projector (I counts modules of the Sequential: 0, 2, 4, … with the GELUs between them).
#pragma once

#include <optional>
#include <string>

namespace striate {

enum class Naming {
  kLlavaHf,  // language_model.model.…, vision_tower.vision_model.…, multi_modal_projector.linear_1 (transformers 5
             // saves vision_tower.… without vision_model: read as well)
  kLlavaHfNew,  // transformers >= 4.52 in memory: model.language_model.…, model.vision_tower.…, lm_head
  kOriginal,    // LLaVA and Bunny: model.…, model.vision_tower.vision_tower.vision_model.…, model.mm_projector.0
};

// The canonical name of a tensor in a checkpoint, whichever scheme it is written in: language models alone, vision
// towers alone (with and without `vision_model.`) and projector files included, and PEFT's `base_model.model.` prefix
// removed.
// nullopt for names that are not part of an LVLM (a SigLIP pooling head, CLIP's text half, rotary buffers).
std::optional<std::string> canonical_name(const std::string& file_name);

// The name a scheme gives to a canonical one.
std::string file_name(const std::string& canonical, Naming naming);

std::string naming_title(Naming naming);

}  // namespace striate
