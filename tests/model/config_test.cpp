#include "striate/model/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "striate/base/error.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using nlohmann::json;

const json kLlavaHf = {{"model_type", "llava"},
                       {"image_token_index", 32000},
                       {"text_config", {{"model_type", "llama"}, {"vocab_size", 32064}}},
                       {"vision_config",
                        {{"model_type", "clip_vision_model"},
                         {"hidden_size", 1024},
                         {"num_attention_heads", 16},
                         {"num_hidden_layers", 24}}}};

const json kBunny = {{"model_type", "bunny-phi3"},
                     {"mm_vision_tower", "google/siglip-so400m-patch14-384"},
                     {"mm_hidden_size", 1152},
                     {"mm_projector_type", "mlp2x_gelu"},
                     {"image_aspect_ratio", "pad"}};

class ConfigTest : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(folder_.path() / "config.json") << text; }
  ModelConfig read(const json& contents) {
    write(contents.dump());
    return read_model_config(folder_.path());
  }
  // What reading throws.
  Error refusal(const json& contents) {
    write(contents.dump());
    return refusal();
  }
  Error refusal() {
    try {
      read_model_config(folder_.path());
    } catch (const Error& error) {
      EXPECT_FALSE(error.hint().empty()) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error;
    }
    ADD_FAILURE() << "nothing was refused";
    return Error(ErrorKind::kInternal, "");
  }
  void expect_refused(const json& contents, ErrorKind kind, const std::string& words) {
    const Error error = refusal(contents);
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }

  test::TemporaryFolder folder_;
};

TEST_F(ConfigTest, WhatLlamaLeavesOutIsFilledInAsTransformersDoes) {
  const DecoderConfig c = read({{"model_type", "llama"}}).decoder;
  EXPECT_EQ(c.vocab_size, 32000);
  EXPECT_EQ(c.hidden_size, 4096);
  EXPECT_EQ(c.mlp_size, 11008);
  EXPECT_EQ(c.layers, 32);
  EXPECT_EQ(c.kv_heads, 32);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.max_positions, 2048);
  EXPECT_DOUBLE_EQ(c.rms_eps, 1e-6);
  EXPECT_DOUBLE_EQ(c.rope_theta, 10000);
  EXPECT_EQ(c.bos_id, 1);
  EXPECT_EQ(c.eos_ids, std::vector<std::int64_t>{2});
  EXPECT_FALSE(c.tie_embeddings);
  EXPECT_FALSE(c.sliding_window);
}

TEST_F(ConfigTest, WhatPhi3LeavesOutIsFilledInAsTransformersDoes) {
  const DecoderConfig c = read({{"model_type", "phi3"}, {"sliding_window", 2047}}).decoder;
  EXPECT_EQ(c.kind, DecoderKind::kPhi3);
  EXPECT_EQ(c.vocab_size, 32064);
  EXPECT_EQ(c.hidden_size, 3072);
  EXPECT_EQ(c.mlp_size, 8192);
  EXPECT_EQ(c.head_dim, 96);
  EXPECT_EQ(c.max_positions, 4096);
  EXPECT_DOUBLE_EQ(c.rms_eps, 1e-5);
  EXPECT_EQ(c.eos_ids, std::vector<std::int64_t>{32000});
  EXPECT_EQ(c.sliding_window, 2047);
}

TEST_F(ConfigTest, WhatClipLeavesOutIsFilledInAsTransformersDoes) {
  const VisionConfig c = *read(kLlavaHf).vision;
  EXPECT_EQ(c.kind, TowerKind::kClip);
  EXPECT_EQ(c.image_size, 224);
  EXPECT_EQ(c.patch_size, 32);
  EXPECT_EQ(c.mlp_size, 3072);
  EXPECT_EQ(c.activation, VisionActivation::kQuickGelu);
  EXPECT_DOUBLE_EQ(c.layer_norm_eps, 1e-5);
  EXPECT_EQ(c.feature_layer, -2);
  EXPECT_EQ(c.layers_run(), 23);
  EXPECT_EQ(c.tokens(), 49);
}

TEST_F(ConfigTest, LlavaHfIsFoundByItsKeys) {
  const ModelConfig model = read(kLlavaHf);
  EXPECT_EQ(model.family, Family::kLlavaHf);
  EXPECT_EQ(model.image_token_id, 32000);
  EXPECT_EQ(model.projector->in_size, 1024);
  EXPECT_EQ(model.projector->out_size, 4096);
  EXPECT_TRUE(model.pad_to_square);
}

TEST_F(ConfigTest, ATowerThatIsOnlyNamedHasItsPublishedShape) {
  const ModelConfig model = read(kBunny);
  EXPECT_EQ(model.family, Family::kBunnyPhi3);
  EXPECT_EQ(model.vision->kind, TowerKind::kSiglip);
  EXPECT_EQ(model.vision->hidden_size, 1152);
  EXPECT_EQ(model.vision->mlp_size, 4304);
  EXPECT_EQ(model.vision->layers, 27);
  EXPECT_EQ(model.vision->tokens(), 729);
  EXPECT_TRUE(model.pad_to_square);
}

TEST_F(ConfigTest, RopeOfTransformers5IsRopeOfTransformers4) {
  const DecoderConfig before = read({{"model_type", "llama"}, {"rope_theta", 500000.0}}).decoder;
  const json parameters = {{"rope_theta", 500000.0}, {"rope_type", "default"}};
  const DecoderConfig after = read({{"model_type", "llama"}, {"rope_parameters", parameters}}).decoder;
  EXPECT_DOUBLE_EQ(before.rope_theta, after.rope_theta);
  EXPECT_EQ(after.rope_scaling.kind, RopeScaling::Kind::kNone);
}

TEST_F(ConfigTest, SeveralEndTokensAreAllKept) {
  const DecoderConfig c = read({{"model_type", "llama"}, {"eos_token_id", {128001, 128009}}}).decoder;
  EXPECT_EQ(c.eos_ids, (std::vector<std::int64_t>{128001, 128009}));
}

TEST_F(ConfigTest, UnknownArchitecturesAreRefusedWithTheKnownOnes) {
  const Error error = refusal({{"model_type", "mamba"}});
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_NE(std::string(error.what()).find("mamba"), std::string::npos);
  EXPECT_NE(error.hint().find("bunny-phi3"), std::string::npos);
}

TEST_F(ConfigTest, LongRopeIsRefused) {
  for (const char* type : {"su", "longrope", "yarn"}) {
    expect_refused({{"model_type", "phi3"}, {"rope_scaling", {{"type", type}, {"short_factor", {1.0}}}}},
                   ErrorKind::kUnsupported, type);
  }
}

TEST_F(ConfigTest, AWrongTypeNamesItsKey) {
  expect_refused({{"model_type", "llama"}, {"hidden_size", "wide"}}, ErrorKind::kCorruptData, "hidden_size");
  expect_refused({{"model_type", "llama"}, {"num_hidden_layers", -3}}, ErrorKind::kCorruptData, "num_hidden_layers");
  expect_refused({{"model_type", "llama"}, {"tie_word_embeddings", 1}}, ErrorKind::kCorruptData, "tie_word_embeddings");
  expect_refused({{"model_type", "llama"}, {"eos_token_id", "</s>"}}, ErrorKind::kCorruptData, "eos_token_id");
}

TEST_F(ConfigTest, SizesThatDoNotFitAreRefused) {
  expect_refused({{"model_type", "llama"}, {"num_attention_heads", 33}}, ErrorKind::kCorruptData, "33 heads");
  expect_refused({{"model_type", "llama"}, {"num_key_value_heads", 5}}, ErrorKind::kCorruptData, "5 key-value heads");
  expect_refused({{"model_type", "llama"}, {"head_dim", 63}}, ErrorKind::kCorruptData, "head_dim");
  json bunny = kBunny;
  bunny["mm_hidden_size"] = 1024;
  expect_refused(bunny, ErrorKind::kCorruptData, "1024");
  json deep = kLlavaHf;
  deep["vision_feature_layer"] = -40;
  expect_refused(deep, ErrorKind::kCorruptData, "-40");
}

TEST_F(ConfigTest, BrokenJsonNamesTheLine) {
  write("{\n \"model_type\": \"llama\",\n \"hidden_size\": \n");
  const Error error = refusal();
  EXPECT_EQ(error.kind(), ErrorKind::kCorruptData);
  EXPECT_NE(std::string(error.what()).find("config.json:4"), std::string::npos) << error.what();
}

TEST_F(ConfigTest, AnAbsentFolderOrConfigIsRefused) {
  EXPECT_EQ(refusal().kind(), ErrorKind::kInvalidInput);
  EXPECT_THROW(read_model_config(folder_.path() / "none"), Error);
}

TEST_F(ConfigTest, ProjectorTypesGiveTheirDepth) {
  EXPECT_EQ(parse_projector_type("linear", ""), 1);
  EXPECT_EQ(parse_projector_type("mlp2x_gelu", ""), 2);
  EXPECT_EQ(parse_projector_type("mlp12x_gelu", ""), 12);
  for (const char* type : {"mlp0x_gelu", "mlpx_gelu", "mlp-1x_gelu", "mlp999x_gelu", "identity", "mlp2x_relu", ""}) {
    EXPECT_THROW(parse_projector_type(type, ""), Error) << type;
  }
}

// Whatever stands at whichever key, the answer is a model or an Error.
TEST_F(ConfigTest, NoValueOfAnyKeyBreaksTheReader) {
  const std::vector<json> hostile = {nullptr,
                                     -1,
                                     0,
                                     1,
                                     3,
                                     1e300,
                                     18446744073709551615U,
                                     INT64_MIN,
                                     "",
                                     "x",
                                     true,
                                     json::array(),
                                     json::object(),
                                     {{"type", 3}},
                                     {1, "a"}};
  json full = read(kLlavaHf).raw;
  for (const char* key :
       {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "head_dim", "rope_theta", "rope_scaling", "rope_parameters", "eos_token_id", "bos_token_id", "pad_token_id",
        "rms_norm_eps", "hidden_act", "sliding_window", "max_position_embeddings", "vocab_size", "model_type"}) {
    full["text_config"].emplace(key, nullptr);
  }
  for (const char* key :
       {"image_size", "patch_size", "num_channels", "hidden_act", "layer_norm_eps", "intermediate_size"}) {
    full["vision_config"].emplace(key, nullptr);
  }
  for (const char* key : {"vision_feature_layer", "vision_feature_select_strategy", "projector_hidden_act"}) {
    full.emplace(key, nullptr);
  }
  int models = 0, errors = 0;
  const json flat = full.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    for (const json& replacement : hostile) {
      json changed = full;
      changed[json::json_pointer(pointer)] = replacement;
      write(changed.dump());
      try {
        const ModelConfig model = read_model_config(folder_.path());
        ASSERT_GT(model.decoder.head_dim, 0);
        ASSERT_GT(model.vision->tokens(), 0);
        ++models;
      } catch (const Error&) {
        ++errors;
      }
    }
  }
  EXPECT_GT(models, 20);
  EXPECT_GT(errors, 100);
}

}  // namespace
}  // namespace striate
