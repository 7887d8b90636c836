#include "striate/model/unsupported.h"

#include <ATen/ops/equal.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/tensor_list.h"

namespace striate {
namespace {

using nlohmann::json;

constexpr const char* kLlava15 = "give a LLaVA-1.5 or Bunny model, such as llava-hf/llava-1.5-7b-hf";
constexpr const char* kPlainWeights =
    "give the same model in 16 bits; transformers converts bitsandbytes weights back: model.dequantize(), then "
    "model.save_pretrained(DIR)";
constexpr const char* kRename = "remove the prefix: load the weights, drop it from each key, and save them again";
constexpr const char* kNoExperts = "give a dense model: LLaVA-1.5 and Bunny have no experts";

// A key of config.json that changes what is computed, with the values that are built. Absent and null are built.
struct Setting {
  const char* key;
  std::vector<json> built;
  const char* meaning;
  const char* hint;
};

const std::vector<Setting>& settings() {
  static const std::vector<Setting> list = {
      {"image_aspect_ratio",
       {"pad", "square"},
       "LLaVA-1.6 and later cut a picture into tiles, which is not supported",
       kLlava15},
      {"mm_patch_merge_type",
       {"flat"},
       "LLaVA-1.6 and later merge the rows of tiles, which is not supported",
       kLlava15},
      {"mm_resampler_type", {}, "a resampler between tower and projector is not supported", kLlava15},
      {"use_s2",
       {false},
       "a vision tower at several scales (S2) is not supported",
       "give a model without S2, such as Bunny v1.0"},
      {"s2", {false}, "a vision tower at several scales (S2) is not supported", kLlava15},
      {"mm_use_im_start_end",
       {false},
       "tokens around a picture are not supported",
       "LLaVA-1.5 and Bunny do not use them"},
      {"mm_vision_select_feature", {"patch", "cls_patch"}, "not supported", "known: patch, cls_patch"},
      {"vision_feature_select_strategy", {"default", "full"}, "not supported", "known: default, full"},
      {"projector_hidden_act", {"gelu"}, "this activation of the projector is not supported", "known: gelu"},
      {"multimodal_projector_bias",
       {true},
       "a projector without biases is not supported",
       "add biases of zeros to its linears and set the key to true, which does not change the model"},
      {"partial_rotary_factor", {1}, "rotary positions on a part of each head are not supported", "known: 1"},
      {"num_local_experts", {0, 1}, "a mixture of experts is not supported", kNoExperts},
      {"num_experts", {0, 1}, "a mixture of experts is not supported", kNoExperts},
      {"n_routed_experts", {0, 1}, "a mixture of experts is not supported", kNoExperts},
      {"moe_enable", {false}, "a mixture of experts is not supported", kNoExperts},
  };
  return list;
}

// "bitsandbytes, 4 bits".
std::string quantisation_title(const json& config) {
  std::vector<std::string> parts;
  if (config.contains("quant_method") && config["quant_method"].is_string()) {
    parts.push_back(config["quant_method"].get<std::string>());
  }
  const auto on = [&](const char* key) { return config.contains(key) && config[key] == true; };
  for (const char* key : {"bits", "w_bit"}) {
    if (config.contains(key) && config[key].is_number_integer()) parts.push_back(cat(config[key].dump(), " bits"));
  }
  if (on("load_in_4bit")) parts.emplace_back("4 bits");
  if (on("load_in_8bit")) parts.emplace_back("8 bits");
  return parts.empty() ? "by an unnamed method" : join(parts, ", ");
}

void refuse_quantisation(const json& config, const std::string& where) {
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    if (!config.contains(key)) continue;
    const json& found = config.at(key);
    if (found.is_null() || (found.is_object() && found.empty())) continue;
    const std::string title = found.is_object() ? quantisation_title(found) : found.dump().substr(0, 60);
    throw unsupported(cat(where, ": \"", key, "\": the weights are quantised (", title, "), which is not supported"),
                      kPlainWeights);
  }
}

enum class Place { kPrefix, kSuffix, kAnywhere };

// A part of a tensor's name that tells what the file is.
struct Sign {
  Place place;
  std::string_view text;
  const char* meaning;
  const char* hint;
};

constexpr std::array kSigns = {
    Sign{Place::kSuffix, ".SCB", "weights quantised by bitsandbytes (8 bits)", kPlainWeights},
    Sign{Place::kSuffix, ".absmax", "weights quantised by bitsandbytes (4 bits)", kPlainWeights},
    Sign{Place::kAnywhere, ".quant_state.", "weights quantised by bitsandbytes (4 bits)", kPlainWeights},
    Sign{Place::kSuffix, ".qweight", "weights quantised by GPTQ or AWQ", kPlainWeights},
    Sign{Place::kSuffix, ".qzeros", "weights quantised by GPTQ or AWQ", kPlainWeights},
    Sign{Place::kSuffix, ".scales", "weights quantised (GPTQ, AWQ or MLX)", kPlainWeights},
    Sign{Place::kSuffix, ".weight_packed", "weights quantised by compressed-tensors", kPlainWeights},
    Sign{Place::kSuffix, ".weight_scale", "weights quantised (fp8 or int8 with a scale)", kPlainWeights},
    Sign{Place::kSuffix, ".weight_scale_inv", "weights quantised (fp8 with a scale)", kPlainWeights},
    Sign{Place::kSuffix, ".W_q", "weights quantised by HQQ", kPlainWeights},
    Sign{Place::kSuffix, ".codebooks", "weights quantised by AQLM", kPlainWeights},
    Sign{Place::kSuffix, ".weight._data", "weights quantised by quanto", kPlainWeights},
    Sign{Place::kPrefix, "module.", "the prefix \"module.\" of DataParallel or DeepSpeed", kRename},
    Sign{Place::kAnywhere, "_orig_mod.", "the prefix \"_orig_mod.\" of torch.compile", kRename},
    Sign{Place::kAnywhere, "_fsdp_wrapped_module.", "the prefix \"_fsdp_wrapped_module.\" of FSDP", kRename},
    Sign{Place::kAnywhere, "_checkpoint_wrapped_module.", "the prefix \"_checkpoint_wrapped_module.\" of checkpointing",
         kRename},
    Sign{Place::kPrefix, "_forward_module.", "the prefix \"_forward_module.\" of Lightning", kRename},
    Sign{Place::kPrefix, "state_dict.", "the prefix \"state_dict.\" of a training checkpoint", kRename},
    Sign{Place::kAnywhere, ".base_layer.", "PEFT's wrapper: a model that was saved together with its adapter",
         "merge the adapter before saving: model.merge_and_unload(), then model.save_pretrained(DIR)"},
    Sign{Place::kAnywhere, "image_newline", "LLaVA-1.6 or later, which cuts a picture into tiles", kLlava15},
    Sign{Place::kAnywhere, "vision_resampler.", "a resampler between tower and projector", kLlava15},
    Sign{Place::kAnywhere, "block_sparse_moe.", "a mixture of experts", kNoExperts},
    Sign{Place::kAnywhere, ".mlp.experts.", "a mixture of experts", kNoExperts},
    Sign{Place::kAnywhere, "deepspeed_moe.", "a mixture of experts", kNoExperts},
};

bool shows(std::string_view name, const Sign& sign) {
  switch (sign.place) {
    case Place::kPrefix:
      return name.starts_with(sign.text);
    case Place::kSuffix:
      return name.ends_with(sign.text);
    case Place::kAnywhere:
      return name.find(sign.text) != std::string_view::npos;
  }
  throw internal_error("unknown place of a sign");
}

void refuse_sign(const TensorInfo& info) {
  for (const Sign& sign : kSigns) {
    if (!shows(info.name, sign)) continue;
    throw unsupported(
        cat(info.file.string(), ": tensor ", info.name, " shows ", sign.meaning, ", which is not supported"),
        sign.hint);
  }
}

void refuse_projector_without_biases(const WeightSource& weights) {
  for (int i = 0;; i += 2) {
    const WeightSource::Entry* weight = weights.find(cat("projector.", i, ".weight"));
    if (weight == nullptr) return;
    if (weights.find(cat("projector.", i, ".bias")) != nullptr) continue;
    throw unsupported(cat(weight->info->file.string(), ": tensor ", weight->info->name,
                          " has no bias: a projector without biases is not supported"),
                      "add a bias of zeros, which does not change the model");
  }
}

// A tied head that is in the files all the same must be the embedding.
void require_the_same_head(const WeightSource& weights, const WeightSource::Entry& head) {
  const WeightSource::Entry* embedding = weights.find("model.embed_tokens.weight");
  if (embedding == nullptr) return;
  const at::Tensor a = embedding->file->load(embedding->info->name);
  const at::Tensor b = head.file->load(head.info->name);
  const bool same = a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
                    (a.const_data_ptr() == b.const_data_ptr() || at::equal(a, b));
  if (same) return;
  throw corrupt_data(cat(head.info->file.string(), ": tensor ", head.info->name,
                         " is not the embedding, and config.json ties the two (tie_word_embeddings)"),
                     "set tie_word_embeddings to false in config.json if the head is its own");
}

}  // namespace

void refuse_unsupported_settings(const json& config, const std::string& where) {
  if (!config.is_object()) return;  // reading the file reports that
  refuse_quantisation(config, where);
  for (const Setting& setting : settings()) {
    if (!config.contains(setting.key)) continue;
    const json& value = config.at(setting.key);
    const auto same = [&](const json& built) { return value == built; };
    if (value.is_null() || std::any_of(setting.built.begin(), setting.built.end(), same)) continue;
    throw unsupported(
        cat(where, ": \"", setting.key, "\" is ",
            value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 60), ": ", setting.meaning),
        setting.hint);
  }
}

void refuse_unsupported_tensors(const WeightSource& weights) {
  for (const auto& [name, entry] : weights.entries()) refuse_sign(*entry.info);
  for (const WeightSource::Entry& entry : weights.unknown()) refuse_sign(*entry.info);
}

void refuse_leftover_tensors(const ModelConfig& config, const WeightSource& weights) {
  refuse_projector_without_biases(weights);
  std::set<std::string> expected;
  for (const TensorSpec& spec : expected_tensors(config)) expected.insert(spec.name);
  for (const auto& [name, entry] : weights.entries()) {
    if (expected.contains(name)) continue;
    if (name == "lm_head.weight") {
      require_the_same_head(weights, entry);
      continue;
    }
    const bool vision = name.starts_with("vision.");
    if (vision && !(config.vision && name.starts_with("vision.encoder."))) continue;
    if (name.starts_with("projector.") && !config.projector) continue;
    throw corrupt_data(cat(entry.info->file.string(), ": tensor ", entry.info->name,
                           " has no place in the model that config.json describes"),
                       "config.json and weights belong to different models, or this architecture is not known");
  }
}

}  // namespace striate
