// Settings of adapters: understood, or refused by name.
#include "striate/model/adapter_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class AdapterSetting : public testing::Test {
 protected:
  AdapterConfig read(const json& changes) const {
    json config = {{"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 8}};
    config.update(changes);
    write_file(file(), config.dump());
    return AdapterConfig(file());
  }
  std::string refusal(const json& changes) const {
    try {
      read(changes);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind() == ErrorKind::kUnsupported || error.kind() == ErrorKind::kCorruptData, true);
      EXPECT_FALSE(error.hint().empty());
      return error.what();
    }
    return "no error";
  }
  std::filesystem::path file() const { return folder_.path() / "adapter_config.json"; }
  const TemporaryFolder folder_;
};

TEST_F(AdapterSetting, DefaultsAreThoseOfPeft) {
  write_file(file(), "{}");
  const AdapterSettings settings = AdapterConfig(file()).settings();
  EXPECT_EQ(settings.rank, 8);
  EXPECT_EQ(settings.alpha, 8);
  EXPECT_EQ(settings.dropout, 0);
  EXPECT_FALSE(settings.rank_stabilised);
  EXPECT_EQ(settings.start, AdapterStart::kZero);
}

// Every field of LoraConfig in PEFT 0.21.2 whose other values change what an adapter computes.
TEST_F(AdapterSetting, ThatChangesTheMeaningIsRefusedByName) {
  const std::vector<std::pair<const char*, json>> settings = {{"use_dora", true},
                                                              {"lora_bias", true},
                                                              {"bias", "all"},
                                                              {"bias", "lora_only"},
                                                              {"alora_invocation_tokens", {1, 2}},
                                                              {"modules_to_save", {"lm_head"}},
                                                              {"trainable_token_indices", {5}},
                                                              {"target_parameters", {"experts.down_proj"}},
                                                              {"layer_replication", {{0, 2}, {1, 3}}},
                                                              {"use_qalora", true},
                                                              {"use_bdlora", {{"nblocks", 2}}},
                                                              {"kasa_config", {{"beta", 1e-4}}},
                                                              {"monteclora_config", {{"num_samples", 8}}},
                                                              {"arrow_config", {{"top_k", 2}}},
                                                              {"velora_config", {{"num_groups", 4}}},
                                                              {"megatron_config", {{"x", 1}}},
                                                              {"ensure_weight_tying", true},
                                                              {"fan_in_fan_out", true},
                                                              {"peft_type", "IA3"}};
  for (const auto& [key, value] : settings) {
    const std::string name = std::string(key) == "peft_type" ? "IA3" : std::string("\"") + key + "\"";
    EXPECT_THAT(refusal({{key, value}}), AllOf(HasSubstr("adapter_config.json: "), HasSubstr(name))) << key;
  }
}

TEST_F(AdapterSetting, ThatIsUnknownIsRefusedUnlessItSwitchesNothingOn) {
  EXPECT_THAT(refusal({{"use_brandnew_lora", true}}), HasSubstr("\"use_brandnew_lora\": true"));
  EXPECT_THAT(refusal({{"brandnew", json::array({"a", "b"})}}), HasSubstr("\"brandnew\": [\"a\",\"b\"]"));
  EXPECT_THAT(refusal({{"brandnew", std::string(500, 'x')}}).size(), testing::Lt(400U));
  for (const json& off : {json(nullptr), json(false), json(0), json(""), json::array(), json::object()}) {
    EXPECT_EQ(refusal({{"brandnew", off}}), "no error") << off;
  }
}

TEST_F(AdapterSetting, StartsThatLeaveTheWeightAloneAreReadAsPlain) {
  for (const json& start :
       {json(true), json(false), json(nullptr), json("gaussian"), json("eva"), json("orthogonal"), json("mica")}) {
    EXPECT_EQ(read({{"init_lora_weights", start}, {"eva_config", {{"rho", 2.0}}}}).settings().start,
              AdapterStart::kZero)
        << start;
  }
}

TEST_F(AdapterSetting, StartsThatPeftTakesOffTheWeightAreKnownOrRefused) {
  EXPECT_EQ(read({{"init_lora_weights", "pissa"}}).settings().start, AdapterStart::kPissa);
  EXPECT_EQ(read({{"init_lora_weights", "olora"}}).settings().start, AdapterStart::kOlora);
  EXPECT_EQ(read({{"init_lora_weights", "OLoRA"}}).settings().start, AdapterStart::kOlora);
  for (const char* start : {"pissa_niter_4", "corda", "lora_ga", "loftq", "brandnew"}) {
    EXPECT_THAT(refusal({{"init_lora_weights", start}}), AllOf(HasSubstr("init_lora_weights"), HasSubstr(start)));
  }
}

TEST_F(AdapterSetting, PatternsFitTheEndOfAModulesName) {
  const AdapterConfig config =
      read({{"rank_pattern", {{"q_proj", 2}, {R"(^model\.layers\.1\.mlp\.up_proj)", 3}, {"layers.3.mlp.down_proj", 5}}},
            {"alpha_pattern", {{R"(self_attn\.(q|v)_proj)", 1.5}}}});
  EXPECT_EQ(config.rank("model.layers.0.self_attn.q_proj"), 2);
  EXPECT_EQ(config.rank("model.layers.1.mlp.up_proj"), 3);
  EXPECT_EQ(config.rank("language_model.model.layers.1.mlp.up_proj"), 4) << "^ is the beginning of the whole name";
  EXPECT_EQ(config.rank("model.layers.3.mlp.down_proj"), 5);
  EXPECT_EQ(config.rank("model.layers.13.mlp.down_proj"), 4) << "an end begins after a dot";
  EXPECT_EQ(config.rank("model.layers.0.self_attn.my_q_proj"), 4);
  EXPECT_EQ(config.alpha("model.layers.0.self_attn.v_proj"), 1.5);
  EXPECT_EQ(config.alpha("model.layers.0.self_attn.k_proj"), 8);
}

TEST_F(AdapterSetting, PatternsThatContradictEachOtherAreRefused) {
  const AdapterConfig config = read({{"alpha_pattern", {{"q_proj", 2}, {"self_attn.q_proj", 3}}}});
  EXPECT_ERROR(config.alpha("model.layers.0.self_attn.q_proj"), "several values for model.layers.0.self_attn.q_proj");
  EXPECT_THAT(refusal({{"rank_pattern", {{"(", 2}}}}), AllOf(HasSubstr("rank_pattern"), HasSubstr("regular")));
  EXPECT_THAT(refusal({{"alpha_pattern", {{"q_proj", "2"}}}}), HasSubstr("alpha_pattern"));
  EXPECT_THAT(refusal({{"alpha_pattern", {1, 2}}}), HasSubstr("alpha_pattern"));
}

TEST_F(AdapterSetting, ModulesThatPeftLeavesOutAreTold) {
  const std::string q = "model.layers.2.self_attn.q_proj";
  EXPECT_EQ(read(json::object()).left_out_by(q, 2), std::nullopt);
  EXPECT_EQ(read({{"target_modules", {"q_proj"}}}).left_out_by(q, 2), std::nullopt);
  EXPECT_EQ(read({{"target_modules", "all-linear"}}).left_out_by(q, 2), std::nullopt);
  EXPECT_EQ(read({{"target_modules", R"(.*layers\.(0|2)\..*q_proj)"}}).left_out_by(q, 2), std::nullopt);
  EXPECT_EQ(read({{"target_modules", {"proj", "v_proj"}}}).left_out_by(q, 2), "target_modules");
  EXPECT_EQ(read({{"target_modules", R"(.*layers\.(0|1)\..*q_proj)"}}).left_out_by(q, 2), "target_modules");
  EXPECT_EQ(read({{"exclude_modules", {"q_proj"}}}).left_out_by(q, 2), "exclude_modules");
  EXPECT_EQ(read({{"layers_to_transform", {0, 2}}}).left_out_by(q, 2), std::nullopt);
  EXPECT_EQ(read({{"layers_to_transform", 1}}).left_out_by(q, 2), "layers_to_transform");
}

}  // namespace
}  // namespace striate::test
