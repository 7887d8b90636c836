// Names, orders of rows and keys of GGUF exports. What the files do in llama.cpp: tests/peers/test_gguf.py.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <set>

#include "striate/base/error.h"
#include "striate/gguf/check.h"
#include "striate/gguf/metadata.h"
#include "striate/gguf/names.h"
#include "striate/model/tensor_list.h"
#include "tests/support/errors.h"
#include "tests/support/tiny_model.h"

namespace striate {
namespace {

TEST(GgufNames, EveryTensorOfAModelHasANameOfItsOwn) {
  for (const DecoderKind kind : {DecoderKind::kLlama, DecoderKind::kPhi3}) {
    const ModelConfig config = test::tiny_config({.kind = kind});
    std::set<std::string> names;
    std::set<std::string> left_out;
    for (const TensorSpec& spec : expected_tensors(config)) {
      const auto named = gguf_name(spec.name, config);
      if (!named) {
        left_out.insert(spec.name.substr(0, spec.name.find("layers.1") == std::string::npos ? 6 : 23));
        continue;
      }
      EXPECT_TRUE(names.insert(named->name).second) << named->name;
      EXPECT_EQ(named->part == GgufPart::kVision, spec.part != Part::kDecoder) << spec.name;
    }
    // The tower's second layer comes after the feature layer; its last norm is read by nobody.
    EXPECT_EQ(left_out, (std::set<std::string>{"vision", "vision.encoder.layers.1"}));
  }
}

TEST(GgufNames, AreThoseOfLlamaCpp) {
  const ModelConfig config = test::tiny_config();
  const auto name = [&](const std::string& canonical) { return gguf_name(canonical, config)->name; };
  EXPECT_EQ(name("model.embed_tokens.weight"), "token_embd.weight");
  EXPECT_EQ(name("model.layers.2.self_attn.o_proj.weight"), "blk.2.attn_output.weight");
  EXPECT_EQ(name("model.layers.2.post_attention_layernorm.weight"), "blk.2.ffn_norm.weight");
  EXPECT_EQ(name("model.norm.weight"), "output_norm.weight");
  EXPECT_EQ(name("lm_head.weight"), "output.weight");
  EXPECT_EQ(name("vision.embeddings.class_embedding"), "v.class_embd");
  EXPECT_EQ(name("vision.encoder.layers.0.mlp.fc1.bias"), "v.blk.0.ffn_up.bias");
  EXPECT_EQ(name("projector.2.bias"), "mm.2.bias");
  EXPECT_ERROR(gguf_name("model.layers.0.self_attn.unheard_of.weight", config),
               "unheard_of.weight has no name in GGUF");
}

TEST(GgufNames, OnlyLlamasQueriesAndKeysChangeTheOrderOfTheirRows) {
  const ModelConfig llama = test::tiny_config();
  EXPECT_EQ(gguf_name("model.layers.0.self_attn.q_proj.weight", llama)->interleaved_heads, 4);
  EXPECT_EQ(gguf_name("model.layers.0.self_attn.k_proj.bias", llama)->interleaved_heads, 2);
  EXPECT_EQ(gguf_name("model.layers.0.self_attn.v_proj.weight", llama)->interleaved_heads, 0);
  EXPECT_EQ(gguf_name("vision.encoder.layers.0.self_attn.q_proj.weight", llama)->interleaved_heads, 0);
  const ModelConfig phi3 = test::tiny_config({.kind = DecoderKind::kPhi3});
  EXPECT_EQ(gguf_name("model.layers.0.self_attn.qkv_proj.weight", phi3)->interleaved_heads, 0);
}

TEST(GgufNames, RowsOfAHeadInterleaveAndComeBack) {
  const at::Tensor interleaved = interleave_heads(at::arange(8), 2);  // two heads of four
  const std::vector<std::int64_t> wanted = {0, 2, 1, 3, 4, 6, 5, 7};
  for (std::int64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(interleaved[i].item<std::int64_t>(), wanted[static_cast<std::size_t>(i)]);
  }
  const at::Tensor matrix = at::arange(48).view({16, 3});
  EXPECT_TRUE(separate_heads(interleave_heads(matrix, 2), 2).equal(matrix));
  EXPECT_FALSE(interleave_heads(matrix, 2).equal(matrix));
  EXPECT_TRUE(interleave_heads(matrix, 0).equal(matrix));
}

const GgufValue* find(const GgufMetadata& metadata, const std::string& key) {
  for (const auto& [known, value] : metadata) {
    if (known == key) return &value;
  }
  return nullptr;
}

TEST(GgufMetadata, SaysWhatTheConfigurationSays) {
  const ModelConfig config = test::tiny_config();
  const GgufMetadata text = gguf_text_metadata(config, "tiny", 7'063'000'000, GgufType::kBFloat16);
  EXPECT_EQ(*find(text, "general.architecture"), GgufValue(std::string("llama")));
  EXPECT_EQ(*find(text, "general.size_label"), GgufValue(std::string("7.1B")));
  EXPECT_EQ(*find(text, "general.file_type"), GgufValue(std::uint32_t{32}));
  EXPECT_EQ(*find(text, "llama.attention.head_count_kv"), GgufValue(std::uint32_t{2}));
  EXPECT_EQ(*find(text, "llama.rope.dimension_count"), GgufValue(std::uint32_t{8}));
  EXPECT_EQ(find(text, "llama.attention.sliding_window"), nullptr);
  const GgufMetadata vision = gguf_vision_metadata(config, PreprocessConfig::clip(28), "tiny", GgufType::kFloat16);
  EXPECT_EQ(*find(vision, "clip.vision.block_count"), GgufValue(std::uint32_t{1}));
  EXPECT_EQ(*find(vision, "clip.vision.feature_layer"), GgufValue(GgufArray(std::vector<std::int32_t>{1})));
  EXPECT_EQ(*find(vision, "clip.use_gelu"), GgufValue(false));
}

TEST(GgufMetadata, Phi3IsNamedSoThatLlamaCppStripsSpaces) {
  const ModelConfig config = test::tiny_config({.kind = DecoderKind::kPhi3, .sliding_window = 5});
  EXPECT_EQ(*find(gguf_text_metadata(config, "mine", 1, GgufType::kFloat16), "general.name"),
            GgufValue(std::string("mine (Phi-3)")));
  const GgufMetadata named = gguf_text_metadata(config, "Bunny-Phi3", 1, GgufType::kFloat16);
  EXPECT_EQ(*find(named, "general.name"), GgufValue(std::string("Bunny-Phi3")));
  EXPECT_EQ(*find(named, "phi3.attention.sliding_window"), GgufValue(std::uint32_t{5}));
}

TEST(GgufMetadata, RotaryFactorsDivideTheSlowedFrequencies) {
  DecoderConfig config = test::tiny_config().decoder;
  EXPECT_FALSE(gguf_rope_factors(config));
  config.head_dim = 64;
  config.rope_theta = 500000;
  config.rope_scaling = {RopeScaling::Kind::kLlama3, 8.0, 1.0, 4.0, 8192};
  const at::Tensor factors = *gguf_rope_factors(config);
  ASSERT_EQ(factors.numel(), 32);
  EXPECT_EQ(factors[0].item<float>(), 1.0F);            // short waves stay
  EXPECT_NEAR(factors[31].item<float>(), 8.0F, 1e-5F);  // long ones are slowed by the factor
}

TEST(GgufSupport, WhatLlamaCppWouldRunAsAnotherModelIsRefused) {
  const auto refused = [](auto&& change) {
    ModelConfig config = test::tiny_config();
    change(config);
    try {
      require_gguf_support(config);
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kUnsupported && !error.hint().empty();
    }
    return false;
  };
  EXPECT_FALSE(refused([](ModelConfig&) {}));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.projector->depth = 1; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.vision->keep_class_token = true; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.vision->activation = VisionActivation::kGelu; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.vision->mlp_size = c.vision->hidden_size; }));
  EXPECT_TRUE(refused([](ModelConfig& c) {
    c.decoder.kind = DecoderKind::kPhi3;
    c.decoder.head_dim = 16;
  }));
}

TEST(GgufTypes, AreNamedAsLlamaCppNamesThem) {
  EXPECT_EQ(parse_gguf_type("q8_0", "--gguf-type"), GgufType::kQ8_0);
  EXPECT_EQ(parse_gguf_type("bf16", "--gguf-type"), GgufType::kBFloat16);
  EXPECT_ERROR(parse_gguf_type("q4_k", "--gguf-type"), "--gguf-type q4_k");
}

TEST(GgufCheck, MoreThanRoundingIsAnError) {
  EXPECT_NO_THROW(require_same_tensors({3, 1.0, "a"}, "out"));
  EXPECT_ERROR(require_same_tensors({3, 1.1, "a"}, "out"), "tensor a differs from its source");
}

}  // namespace
}  // namespace striate
