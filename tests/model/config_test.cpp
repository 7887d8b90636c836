#include "striate/model/config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "tests/support/errors.h"
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

TEST_F(ConfigTest, EitherPlaceTiesTheEmbeddings) {
  for (const auto& [top, text] : {std::pair(true, false), std::pair(false, true), std::pair(true, true)}) {
    json config = kLlavaHf;
    config["tie_word_embeddings"] = top;
    config["text_config"]["tie_word_embeddings"] = text;
    EXPECT_TRUE(read(config).decoder.tie_embeddings) << top << text;
  }
  json apart = kLlavaHf;
  apart["tie_word_embeddings"] = false;
  EXPECT_FALSE(read(apart).decoder.tie_embeddings);
}

TEST_F(ConfigTest, ATowersSidesMayBeListsOfTwoEqualNumbers) {
  json config = kLlavaHf;
  config["vision_config"]["image_size"] = {56, 56};
  config["vision_config"]["patch_size"] = {14, 14};
  EXPECT_EQ(read(config).vision->grid(), 4);
  config["vision_config"]["image_size"] = {56, 42};
  expect_refused(config, ErrorKind::kCorruptData, "\"image_size\"");
}

TEST_F(ConfigTest, AnswersEndAsEitherFileOfIdsSays) {
  std::ofstream(folder_.path() / "generation_config.json") << R"({"eos_token_id": [5, 6]})";
  const ModelConfig model = read({{"model_type", "llama"}, {"eos_token_id", 2}});
  EXPECT_EQ(answer_end_ids(model), (std::vector<std::int64_t>{2, 5, 6}));
  EXPECT_EQ(model.decoder.eos_ids, std::vector<std::int64_t>{2});
  std::ofstream(folder_.path() / "generation_config.json") << R"({"do_sample": true})";
  EXPECT_EQ(answer_end_ids(read({{"model_type", "llama"}, {"eos_token_id", 2}})), std::vector<std::int64_t>{2});
}

TEST_F(ConfigTest, ASiglipTowerWhoseFirstPatchWouldBeDroppedIsRefused) {
  json config = kLlavaHf;
  config["vision_config"] = {{"model_type", "siglip_vision_model"}};
  expect_refused(config, ErrorKind::kUnsupported, "vision_feature_select_strategy");
  config["vision_feature_select_strategy"] = "full";
  EXPECT_EQ(read(config).vision->tokens(), 196);
}

TEST_F(ConfigTest, RopeScalingStandsBeforeRopeParametersAsInTransformers5) {
  const json config = {{"model_type", "llama"},
                       {"rope_theta", 10000.0},
                       {"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 300.0}}},
                       {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 500000.0}}}};
  const DecoderConfig decoder = read(config).decoder;
  EXPECT_DOUBLE_EQ(decoder.rope_theta, 300);
  EXPECT_EQ(decoder.rope_scaling.kind, RopeScaling::Kind::kLinear);
  expect_refused({{"model_type", "llama"}, {"rope_parameters", {{"full_attention", {{"rope_theta", 1e4}}}}}},
                 ErrorKind::kUnsupported, "full_attention");
  expect_refused({{"model_type", "phi3"}, {"rope_parameters", {{"partial_rotary_factor", 0.75}}}},
                 ErrorKind::kUnsupported, "partial_rotary_factor");
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

TEST_F(ConfigTest, NumbersThatMakeNoSenseAreRefusedByTheirKey) {
  const json values[] = {
      {{"rms_norm_eps", -1}},
      {{"rms_norm_eps", 0}},
      {{"rms_norm_eps", 1e300}},
      {{"rope_theta", 0}},
      {{"rope_theta", -10000.0}},
      {{"rope_theta", 1e300}},
      {{"num_hidden_layers", 0}},
      {{"num_hidden_layers", 100'000}},
      {{"num_attention_heads", 0}},
      {{"num_attention_heads", -8}},
      {{"num_key_value_heads", 0}},
      {{"head_dim", 0}},
      {{"hidden_size", std::uint64_t{1} << 63}},
      {{"hidden_size", std::numeric_limits<std::uint64_t>::max()}},
      {{"vocab_size", 0}},
      {{"intermediate_size", 1LL << 40}},
      {{"max_position_embeddings", 0}},
      {{"max_position_embeddings", 1LL << 40}},
      {{"bos_token_id", -5}},
      {{"eos_token_id", 1LL << 40}},
      {{"eos_token_id", {2, -7}}},
      {{"pad_token_id", 1LL << 40}},
      {{"rope_scaling", {{"type", "linear"}, {"factor", 0.5}}}},
      {{"rope_scaling", {{"type", "linear"}, {"factor", 1e300}}}},
      {{"rope_scaling", {{"type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}}}},
      {{"rope_scaling", {{"type", "llama3"}, {"factor", 8}, {"low_freq_factor", 0}}}},
      {{"rope_scaling", {{"type", "llama3"}, {"factor", 8}, {"original_max_position_embeddings", 0}}}},
      {{"rope_parameters", {{"rope_theta", 0}}}},
  };
  for (const json& value : values) {
    SCOPED_TRACE(value.dump());
    json config = {{"model_type", "llama"}};
    config.update(value);
    const Error error = refusal(config);
    EXPECT_EQ(error.kind(), ErrorKind::kCorruptData) << error.what();
    const json& inner = value.begin().value();
    const bool nested = inner.is_object();
    bool named = std::string(error.what()).find(value.begin().key()) != std::string::npos;
    for (auto item = inner.begin(); nested && item != inner.end(); ++item) {
      named = named || std::string(error.what()).find(item.key()) != std::string::npos;
    }
    EXPECT_TRUE(named) << error.what();
  }
}

TEST_F(ConfigTest, NumbersOfTheVisionTowerThatMakeNoSenseAreRefused) {
  const json values[] = {{{"layer_norm_eps", -1}},
                         {{"layer_norm_eps", 0}},
                         {{"num_attention_heads", 0}},
                         {{"num_hidden_layers", 5000}},
                         {{"image_size", 0}},
                         {{"patch_size", 0}},
                         {{"image_size", 16384}, {"patch_size", 1}}};
  for (const json& value : values) {
    SCOPED_TRACE(value.dump());
    json config = kLlavaHf;
    config["vision_config"].update(value);
    EXPECT_EQ(refusal(config).kind(), ErrorKind::kCorruptData);
  }
}

TEST_F(ConfigTest, BrokenJsonNamesTheLine) {
  write("{\n \"model_type\": \"llama\",\n \"hidden_size\": \n");
  const Error error = refusal();
  EXPECT_EQ(error.kind(), ErrorKind::kCorruptData);
  EXPECT_NE(std::string(error.what()).find("config.json:4"), std::string::npos) << error.what();
}

TEST_F(ConfigTest, AnAbsentFolderOrConfigIsRefused) {
  EXPECT_EQ(refusal().kind(), ErrorKind::kInvalidInput);
  EXPECT_ERROR(read_model_config(folder_.path() / "none"), "none: no such folder");
}

TEST_F(ConfigTest, ProjectorTypesGiveTheirDepth) {
  EXPECT_EQ(parse_projector_type("linear", ""), 1);
  EXPECT_EQ(parse_projector_type("mlp2x_gelu", ""), 2);
  EXPECT_EQ(parse_projector_type("mlp12x_gelu", ""), 12);
  for (const char* type : {"mlp0x_gelu", "mlpx_gelu", "mlp-1x_gelu", "mlp999x_gelu", "identity", "mlp2x_relu", ""}) {
    EXPECT_ERROR(parse_projector_type(type, ""), cat("projector \"", type, "\" is not implemented")) << type;
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
