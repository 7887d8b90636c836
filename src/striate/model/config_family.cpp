// What follows from a model's family: its name, its files' conventions, its conversation template.
#include "striate/base/error.h"
#include "striate/model/config.h"

namespace striate {

std::string family_name(Family family) {
  switch (family) {
    case Family::kLlavaHf:
      return "LLaVA-1.5 (llava-hf naming)";
    case Family::kLlavaOriginal:
      return "LLaVA-1.5 (original naming)";
    case Family::kBunnyLlama:
      return "Bunny-Llama-3";
    case Family::kBunnyPhi3:
      return "Bunny-Phi-3";
    case Family::kTextLlama:
      return "Llama (text only)";
    case Family::kTextPhi3:
      return "Phi-3 (text only)";
  }
  throw internal_error("unknown family");
}

const FileConventions& file_conventions(Family family) {
  static const FileConventions llava_hf{.naming = Naming::kLlavaHf,
                                        .live_naming = Naming::kLlavaHfNew,
                                        .nested_decoder = true,
                                        .image_token = true,
                                        .processor_pads = true};
  static const FileConventions original;
  return family == Family::kLlavaHf ? llava_hf : original;
}

const FileConventions& ModelConfig::files() const {
  return file_conventions(family);
}

TemplateKind default_template(Family family) {
  switch (family) {
    case Family::kBunnyLlama:
      return TemplateKind::kLlama;
    case Family::kBunnyPhi3:
      return TemplateKind::kPhi3;
    default:
      return TemplateKind::kVicunaV1;
  }
}

std::vector<std::int64_t> answer_end_ids(const ModelConfig& config) {
  std::vector<std::int64_t> ids = config.decoder.eos_ids;
  if (config.generation_eos_ids) {
    ids.insert(ids.end(), config.generation_eos_ids->begin(), config.generation_eos_ids->end());
  }
  return ids;
}

}  // namespace striate
