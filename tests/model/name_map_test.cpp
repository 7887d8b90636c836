#include "striate/model/name_map.h"

#include <gtest/gtest.h>

#include "striate/base/json_file.h"
#include "striate/model/architectures.h"
#include "striate/model/tensor_list.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

TEST(NameMap, EveryTensorOfEveryArchitectureKeepsItsNameThroughEveryScheme) {
  for (const Architecture& arch : architectures()) {
    for (const Naming naming : {Naming::kLlavaHf, Naming::kLlavaHfNew, Naming::kOriginal}) {
      for (const TensorSpec& spec : expected_tensors(arch.config)) {
        ASSERT_EQ(canonical_name(file_name(spec.name, naming)), spec.name) << naming_title(naming);
      }
    }
  }
}

TEST(NameMap, PublishedNamesOfTheSameTensorMeet) {
  int maps = 0;
  for (const std::filesystem::path& model : test::golden_models()) {
    if (!std::filesystem::exists(model / "name_map_original_llava.json")) continue;
    const auto map = read_json_file(model / "name_map_original_llava.json");
    maps += map.empty() ? 0 : 1;
    for (const auto& [hf, original] : map.items()) {
      const auto canonical = canonical_name(hf);
      ASSERT_TRUE(canonical) << hf;
      EXPECT_EQ(canonical_name(original.get<std::string>()), canonical);
      EXPECT_EQ(file_name(*canonical, Naming::kLlavaHf), hf);
      EXPECT_EQ(file_name(*canonical, Naming::kOriginal), original.get<std::string>());
    }
  }
  EXPECT_GT(maps, 0) << "no golden has a name map";
}

TEST(NameMap, PartsAloneAndPeftNamesAreKnown) {
  EXPECT_EQ(canonical_name("vision_model.encoder.layers.3.mlp.fc1.weight"), "vision.encoder.layers.3.mlp.fc1.weight");
  EXPECT_EQ(canonical_name("mm_projector.0.weight"), "projector.0.weight");
  EXPECT_EQ(canonical_name("model.mm_projector.weight"), "projector.0.weight");
  EXPECT_EQ(canonical_name("base_model.model.model.mm_projector.2.bias"), "projector.2.bias");
  EXPECT_EQ(canonical_name("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"),
            "model.layers.1.self_attn.q_proj.lora_A.weight");
  EXPECT_EQ(canonical_name("multi_modal_projector.linear_2.bias"), "projector.2.bias");
}

TEST(NameMap, WhatTransformers5SavesHasTheNamesItAlwaysHad) {
  for (const auto& [saved, canonical] :
       {std::pair("vision_tower.embeddings.patch_embedding.weight", "vision.embeddings.patch_embedding.weight"),
        std::pair("vision_tower.encoder.layers.3.mlp.fc1.weight", "vision.encoder.layers.3.mlp.fc1.weight"),
        std::pair("model.vision_tower.pre_layrnorm.bias", "vision.pre_layrnorm.bias"),
        std::pair("embeddings.class_embedding", "vision.embeddings.class_embedding"),
        std::pair("pre_layrnorm.weight", "vision.pre_layrnorm.weight"),
        std::pair("encoder.layers.0.layer_norm1.bias", "vision.encoder.layers.0.layer_norm1.bias"),
        std::pair("post_layernorm.bias", "vision.post_layernorm.bias"),
        std::pair("language_model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        std::pair("language_model.norm.weight", "model.norm.weight"),
        std::pair("embed_tokens.weight", "model.embed_tokens.weight"),
        std::pair("layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.q_proj.weight"),
        std::pair("norm.weight", "model.norm.weight")}) {
    EXPECT_EQ(canonical_name(saved), canonical) << saved;
  }
}

TEST(NameMap, WhatIsNoPartOfAnLvlmHasNoName) {
  for (const char* name :
       {"vision_model.head.probe", "head.probe", "head.mlp.fc1.weight",
        "model.vision_tower.vision_tower.vision_model.head.mlp.fc1.weight",
        "text_model.encoder.layers.0.mlp.fc1.weight", "logit_scale", "vision_model.embeddings.position_ids",
        "model.layers.0.self_attn.rotary_emb.inv_freq", "", "weight"}) {
    EXPECT_EQ(canonical_name(name), std::nullopt) << name;
  }
}

TEST(NameMap, HostileNamesDoNoHarm) {
  for (const char* name : {"multi_modal_projector.linear_", "multi_modal_projector.linear_x.weight",
                           "multi_modal_projector.linear_99999999999999999999.weight", "model.layers.", "vision_model.",
                           "base_model.model.", "mm_projector."}) {
    const auto canonical = canonical_name(name);
    EXPECT_TRUE(!canonical || !canonical->empty()) << name;
  }
}

}  // namespace
}  // namespace striate
