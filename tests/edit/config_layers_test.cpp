#include "striate/edit/config_layers.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

using nlohmann::json;

TEST(ConfigOfLayers, WhatSpeaksOfSingleLayersFollows) {
  const json config = {{"num_hidden_layers", 6},
                       {"layer_types", {"a", "b", "c", "d", "e", "f"}},
                       {"no_rope_layers", {1, 1, 0, 1, 1, 0}},
                       {"mlp_only_layers", {1, 4}},
                       {"max_window_layers", 4},
                       {"pruned_heads", {{"1", {0}}, {"3", {2, 5}}}},
                       {"hidden_size", 6}};
  const json pruned = config_of_layers(config, LayerSet(6, {0, 3, 4}));
  EXPECT_EQ(pruned.at("num_hidden_layers"), 3);
  EXPECT_EQ(pruned.at("layer_types"), json({"a", "d", "e"}));
  EXPECT_EQ(pruned.at("no_rope_layers"), json({1, 1, 1}));
  EXPECT_EQ(pruned.at("mlp_only_layers"), json::array({2}));
  EXPECT_EQ(pruned.at("max_window_layers"), 2);
  EXPECT_EQ(pruned.at("pruned_heads"), json({{"1", {2, 5}}}));
  EXPECT_EQ(pruned.at("hidden_size"), 6);
}

TEST(ConfigOfLayers, OtherListsOfTheSameLengthAndVisionLayersStay) {
  const json config = {{"num_hidden_layers", 4},
                       {"short_factor", {1.0, 1.1, 1.2, 1.3}},
                       {"architectures", {"LlamaForCausalLM"}},
                       {"mm_vision_select_layer", -2},
                       {"mm_vision_select_layers", {1, 2, 3, 4}},
                       {"vision_feature_layer", {0, 1, 2, 3}}};
  json expected = config;
  expected["num_hidden_layers"] = 2;
  EXPECT_EQ(config_of_layers(config, LayerSet(4, {1, 2})), expected);
}

TEST(ConfigOfLayers, ADepthLeftToTheDefaultIsSet) {
  EXPECT_EQ(config_of_layers(json{{"model_type", "llama"}}, LayerSet(32, {0, 1, 31})).at("num_hidden_layers"), 3);
}

}  // namespace
}  // namespace striate
