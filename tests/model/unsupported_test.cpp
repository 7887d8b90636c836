// Checkpoints that look like ours and compute something else.
#include "striate/model/unsupported.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/files/weight_file.h"
#include "striate/model/load.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using Tensors = std::vector<std::pair<std::string, at::Tensor>>;

// What `action` throws, as "message | hint"; "" when it does not.
std::string refusal(ErrorKind kind, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_FALSE(error.hint().empty()) << error.what();
    return error.what();
  }
  return "";
}

std::string settings_refusal(const json& config) {
  return refusal(ErrorKind::kUnsupported, [&] { refuse_unsupported_settings(config, "config.json"); });
}

TEST(UnsupportedSettings, AreRefusedByKeyAndValue) {
  const std::vector<std::pair<json, std::string>> cases = {
      {{{"image_aspect_ratio", "anyres"}}, R"("image_aspect_ratio" is "anyres")"},
      {{{"image_aspect_ratio", "anyres_max_9"}}, "anyres_max_9"},
      {{{"mm_patch_merge_type", "spatial_unpad"}}, "spatial_unpad"},
      {{{"mm_resampler_type", "perceiver"}}, "perceiver"},
      {{{"use_s2", true}}, "use_s2"},
      {{{"mm_use_im_start_end", true}}, "mm_use_im_start_end"},
      {{{"mm_vision_select_feature", "cls"}}, "mm_vision_select_feature"},
      {{{"multimodal_projector_bias", false}}, "multimodal_projector_bias"},
      {{{"projector_hidden_act", "relu"}}, "projector_hidden_act"},
      {{{"partial_rotary_factor", 0.5}}, "partial_rotary_factor"},
      {{{"num_local_experts", 8}}, "num_local_experts"},
      {{{"quantization_config", {{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}}}}, "(bitsandbytes, 4 bits)"},
      {{{"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}}}, "(gptq, 4 bits)"},
      {{{"quantization_config", {{"quant_method", "fp8"}}}}, "(fp8)"},
      {{{"quantization", {{"bits", 8}, {"group_size", 64}}}}, "(8 bits)"},
  };
  for (const auto& [config, words] : cases) {
    const std::string message = settings_refusal(config);
    EXPECT_THAT(message, HasSubstr("config.json: ")) << config;
    EXPECT_THAT(message, HasSubstr(words));
  }
}

TEST(UnsupportedSettings, WhatIsBuiltAndWhatIsNullPass) {
  EXPECT_EQ(settings_refusal({{"image_aspect_ratio", "pad"},
                              {"mm_patch_merge_type", "flat"},
                              {"mm_resampler_type", nullptr},
                              {"use_s2", false},
                              {"multimodal_projector_bias", true},
                              {"partial_rotary_factor", 1.0},
                              {"quantization_config", nullptr}}),
            "");
}

class UnsupportedTensors : public testing::Test {
 protected:
  UnsupportedTensors() { make_checkpoint(model()); }

  std::filesystem::path model() const { return folder_.path() / "model"; }
  void change_config(const std::string& key, const json& value) {
    json config = read_json_file(model() / "config.json");
    config[key] = value;
    write_file(model() / "config.json", config.dump());
  }
  // The model's weights with other names, and with `more`.
  void rewrite(const std::function<std::string(const std::string&)>& rename, const Tensors& more = {}) {
    Tensors tensors = more;
    {
      const auto opened = open_weight_directory(model());
      for (const TensorInfo& info : opened->tensors()) {
        if (const std::string name = rename(info.name); !name.empty()) {
          tensors.emplace_back(name, opened->load(info.name).clone());
        }
      }
    }
    write_safetensors(model() / "model.safetensors", tensors);
  }
  static std::string same(const std::string& name) { return name; }
  std::string opening(ErrorKind kind) {
    return refusal(kind, [&] { open_small(model()); });
  }
  std::string loading(ErrorKind kind) {
    return refusal(kind, [&] { load_model(open_small(model()), Placement{at::kCPU, Compute::kFloat32}); });
  }

  TemporaryFolder folder_;
};

TEST_F(UnsupportedTensors, APrefixOfAWrapperIsNamed) {
  for (const char* prefix : {"module.", "_orig_mod.", "_fsdp_wrapped_module.", "_forward_module."}) {
    rewrite([&](const std::string& name) { return prefix + name; });
    const std::string message = opening(ErrorKind::kUnsupported);
    EXPECT_THAT(message, HasSubstr(std::string("the prefix \"") + prefix + "\""));
    EXPECT_THAT(message, HasSubstr("model.safetensors"));
    rewrite([&](const std::string& name) { return name.substr(std::string_view(prefix).size()); });
  }
  EXPECT_EQ(opening(ErrorKind::kUnsupported), "");
}

TEST_F(UnsupportedTensors, AnotherArchitectureIsNamedByItsTensors) {
  for (const auto& [name, words] :
       {std::pair("model.image_newline", "LLaVA-1.6"), std::pair("image_newline", "LLaVA-1.6"),
        std::pair("model.vision_resampler.query", "resampler"),
        std::pair("language_model.model.layers.0.block_sparse_moe.gate.weight", "experts"),
        std::pair("language_model.model.layers.0.self_attn.q_proj.weight.absmax", "bitsandbytes (4 bits)"),
        std::pair("language_model.model.layers.0.self_attn.q_proj.SCB", "bitsandbytes (8 bits)"),
        std::pair("language_model.model.layers.0.self_attn.q_proj.qweight", "GPTQ or AWQ"),
        std::pair("language_model.model.layers.0.self_attn.q_proj.weight_scale", "quantised")}) {
    rewrite([&, name = std::string(name)](const std::string& old) { return old == name ? std::string() : old; },
            {{name, at::zeros({4})}});
    const std::string message = opening(ErrorKind::kUnsupported);
    EXPECT_THAT(message, HasSubstr(name));
    EXPECT_THAT(message, HasSubstr(words));
    rewrite([&, name = std::string(name)](const std::string& old) { return old == name ? std::string() : old; });
  }
}

TEST_F(UnsupportedTensors, ATensorWithoutAPlaceInTheModelIsNotLeftOut) {
  rewrite(same, {{"language_model.model.layers.0.self_attn.q_proj.bias", at::zeros({32})}});
  EXPECT_THAT(loading(ErrorKind::kCorruptData), HasSubstr("layers.0.self_attn.q_proj.bias has no place"));
}

TEST_F(UnsupportedTensors, AProjectorWithoutBiasesIsNamed) {
  rewrite([](const std::string& name) { return name == "multi_modal_projector.linear_1.bias" ? std::string() : name; });
  EXPECT_THAT(loading(ErrorKind::kUnsupported), HasSubstr("a projector without biases"));
}

TEST_F(UnsupportedTensors, ATiedHeadThatIsInTheFilesMustBeTheEmbedding) {
  change_config("tie_word_embeddings", true);
  EXPECT_THAT(loading(ErrorKind::kCorruptData), HasSubstr("is not the embedding"));
  at::Tensor embedding;
  {
    const auto opened = open_weight_directory(model());
    embedding = opened->load("language_model.model.embed_tokens.weight").clone();
  }
  const auto but_head = [](const std::string& name) {
    return name == "language_model.lm_head.weight" ? std::string() : name;
  };
  rewrite(but_head, {{"language_model.lm_head.weight", embedding}});
  EXPECT_EQ(loading(ErrorKind::kCorruptData), "");
}

}  // namespace
}  // namespace striate::test
