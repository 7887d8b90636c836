#include "striate/edit/adapter_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/edit/logits_check.h"
#include "striate/edit/model_change.h"
#include "striate/edit/model_folder.h"
#include "striate/edit/revert.h"
#include "striate/edit/revert_model.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;

const Placement kReference{at::kCPU, Compute::kFloat32};

class AdapterFolders : public testing::TestWithParam<SmallCheckpoint> {
 protected:
  AdapterFolders() {
    make_checkpoint(path("base"), GetParam());
    make_adapter(path("adapter"), open_small(path("base")), {1, 3});
  }
  fs::path path(const std::string& name) const { return home_.path() / name; }
  static double difference(const std::vector<at::Tensor>& live, const Checkpoint& written) {
    const auto inputs = probe_inputs(written.config);
    return compare_logits(inputs, live, probe_logits(written, inputs)).relative();
  }
  // The adapter of a model without layer 1 acts as that of the whole model did in the other layers.
  void expect_carried_over_without_layer_1() const {
    const Checkpoint source = open_small(path("base"), path("adapter"));
    ModelChange change;
    change.keep = LayerSet(5, {0, 2, 3, 4});
    write_model_folder(path("pruned"), open_small(path("base")), change);
    AdapterOutOptions options;
    options.layers = new_layer_numbers(change.keep);
    write_adapter_folder(path("out"), AdapterFile(path("adapter")), source.config.family, path("pruned"), options);
    const Lvlm live = load_model(source, kReference)->without_layers(LayerSet(5, {1}));
    EXPECT_LE(difference(probe_logits(live, probe_inputs(live.config())), open_small(path("pruned"), path("out"))),
              1e-6);
  }
  TemporaryFolder home_;
};

TEST_P(AdapterFolders, TheAuthorsNamingBecomesPeftsAndGivesTheSameLogits) {
  const Checkpoint source = open_small(path("base"), path("adapter"));
  const AdapterFile adapter(path("adapter"));
  write_adapter_folder(path("out"), adapter, source.config.family, path("base"));
  const AdapterFile written(path("out"));
  EXPECT_EQ(written.settings().rank, 3);
  EXPECT_EQ(written.settings().alpha, 6);
  EXPECT_EQ(written.layers(), adapter.layers());
  EXPECT_LE(difference(probe_logits(source, probe_inputs(source.config)), open_small(path("base"), path("out"))), 1e-6);
  const bool llava = source.config.family == Family::kLlavaHf;
  const std::string first = open_safetensors(path("out") / "adapter_model.safetensors")->tensors().front().name;
  EXPECT_TRUE(
      first.starts_with(llava ? "base_model.model.model.language_model.layers.1." : "base_model.model.model.layers.1."))
      << first;
}

TEST_P(AdapterFolders, CarriedOverOntoAPrunedModelTheLayersKeepTheirAdapters) {
  expect_carried_over_without_layer_1();
  EXPECT_EQ(AdapterFile(path("out")).layers(), std::vector<std::int64_t>{2});
}

TEST_P(AdapterFolders, RevertedLayersLoseTheirAdapters) {
  const Checkpoint source = open_small(path("base"), path("adapter"));
  const AdapterFile adapter(path("adapter"));
  AdapterOutOptions options;
  options.layers = adapter_reversion(adapter, LayerSet(5, {0, 3}));
  write_adapter_folder(path("out"), adapter, source.config.family, path("base"), options);
  const Checkpoint base = open_small(path("base"));
  const auto live = load_model(source, kReference);
  revert_layers(*live, base, {{0, 0}, {3, 3}});
  EXPECT_EQ(AdapterFile(path("out")).layers(), std::vector<std::int64_t>{1});
  EXPECT_LE(difference(probe_logits(*live, probe_inputs(live->config())), open_small(path("base"), path("out"))), 1e-6);
}

TEST_P(AdapterFolders, NormsThatWereTrainedBesideItMoveWithTheirLayers) {
  train_norms_beside(path("adapter"), {1, 3, 4});
  expect_carried_over_without_layer_1();
}

TEST_P(AdapterFolders, NormsOfRevertedLayersAreTheBasesAgain) {
  train_norms_beside(path("adapter"), {0, 1, 3, 4});
  RevertRequest request;
  request.model.model = path("base");
  request.model.adapter = path("adapter");
  request.layers = "0,3";
  request.output.out = path("out");
  const RevertResult result = revert_model(request);
  EXPECT_EQ(result.adapter_layers, std::vector<std::int64_t>{1});
  ASSERT_TRUE(result.check);
  EXPECT_LE(result.check->difference.relative(), 1e-6);
  const Checkpoint base = open_small(path("base")), tuned = open_small(path("base"), path("adapter")),
                   reverted = open_small(path("base"), path("out"));
  for (const std::int64_t layer : {0, 1, 3, 4}) {
    const std::string name = cat("model.layers.", layer, ".input_layernorm.weight");
    const Checkpoint& from = layer == 0 || layer == 3 ? base : tuned;
    EXPECT_TRUE(reverted.weights.load(name, {32}).equal(from.weights.load(name, {32}))) << name;
  }
}

// PiSSA's and OLoRA's belong to the weights less what they started from: wherever an adapter is used.
TEST_P(AdapterFolders, StartedFromTheWeightsTheyMeanTheSameEverywhere) {
  const std::string settings = read_file(path("adapter") / "adapter_config.json");
  for (const char* start : {"pissa", "olora"}) {
    nlohmann::json config = nlohmann::json::parse(settings);
    config["init_lora_weights"] = start;
    write_file(path("adapter") / "adapter_config.json", config.dump());
    const Checkpoint source = open_small(path("base"), path("adapter"));
    const auto live = probe_logits(source, probe_inputs(source.config));
    EXPECT_GE(difference(live, open_small(path("base"))), 1e-2) << start;

    const std::string out = start;
    write_model_folder(path(out + "-merged"), source, {});
    EXPECT_LE(difference(live, open_small(path(out + "-merged"))), 1e-5) << start;
    write_adapter_folder(path(out + "-again"), AdapterFile(path("adapter")), source.config.family, path("base"));
    EXPECT_LE(difference(live, open_small(path("base"), path(out + "-again"))), 1e-6) << start;
    EXPECT_EQ(nlohmann::json::parse(read_file(path(out + "-again") / "adapter_config.json"))["init_lora_weights"],
              start);

    const Checkpoint base = open_small(path("base"));
    const auto without = load_model(source, kReference);
    revert_layers(*without, base, {{1, 1}, {3, 3}});
    ModelPaths projector;
    projector.model = path("base");
    projector.projector = path("adapter");
    EXPECT_LE(difference(probe_logits(*without, probe_inputs(source.config)), open_checkpoint(projector)), 1e-6);
  }
}

TEST_P(AdapterFolders, RanksAndAlphasOfTheirOwnAreCarriedOver) {
  const Checkpoint source = open_small(path("base"), path("adapter"));
  const std::string first = decoder_linears(source.config.decoder).front().name;
  const AdapterFile before(path("adapter"));
  std::vector<std::pair<std::string, at::Tensor>> matrices;
  for (const AdapterPair& pair : before.pairs()) {
    const bool narrow = pair.layer == 3 && pair.linear == first;
    const at::Tensor a = before.load(*pair.a);
    const at::Tensor b = before.load(*pair.b);
    matrices.emplace_back(pair.a->name, narrow ? a.slice(0, 0, 2).contiguous() : a.clone());
    matrices.emplace_back(pair.b->name, narrow ? b.slice(1, 0, 2).contiguous() : b.clone());
  }
  fs::create_directories(path("unlike"));
  write_safetensors(path("unlike") / "adapter_model.safetensors", matrices);
  write_file(path("unlike") / "adapter_config.json", nlohmann::json{{"r", 3},
                                                                    {"lora_alpha", 6},
                                                                    {"rank_pattern", {{"layers.3." + first, 2}}},
                                                                    {"alpha_pattern", {{"layers.1." + first, 9.5}}}}
                                                         .dump());
  AdapterOutOptions options;
  options.layers = {{1, 0}, {3, 1}};
  write_adapter_folder(path("out"), AdapterFile(path("unlike")), source.config.family, path("base"), options);
  const AdapterFile written(path("out"));
  EXPECT_EQ(written.find(1, first)->rank(), 2);
  EXPECT_EQ(written.find(1, first)->alpha, 6);
  EXPECT_EQ(written.find(0, first)->rank(), 3);
  EXPECT_EQ(written.find(0, first)->alpha, 9.5);
  EXPECT_EQ(written.pairs().size(), before.pairs().size());
}

INSTANTIATE_TEST_SUITE_P(Families, AdapterFolders, testing::ValuesIn(every_family()), kFamilyName);

TEST(AdapterPattern, LayersOfUnlikeLinearsAreNamedOneByOne) {
  const std::string pattern =
      adapter_target_pattern({{1, "mlp.up_proj"}, {11, "self_attn.q_proj"}}, Family::kLlavaOriginal);
  EXPECT_TRUE(std::regex_match("model.layers.1.mlp.up_proj", std::regex(pattern)));
  EXPECT_TRUE(std::regex_match("model.layers.11.self_attn.q_proj", std::regex(pattern)));
  EXPECT_FALSE(std::regex_match("model.layers.1.self_attn.q_proj", std::regex(pattern)));
  EXPECT_FALSE(std::regex_match("model.layers.11.mlp.up_proj", std::regex(pattern)));
}

TEST(AdapterFolder, NothingLeftIsRefused) {
  const TemporaryFolder home;
  make_checkpoint(home.path() / "base");
  make_adapter(home.path() / "adapter", open_small(home.path() / "base"), {2});
  const AdapterFile adapter(home.path() / "adapter");
  EXPECT_ERROR(adapter_reversion(adapter, LayerSet(5, {2})), "no layer of the adapter would be left");
  EXPECT_ERROR(adapter_reversion(adapter, LayerSet(5, {0, 1})), "nothing to revert");
  AdapterOutOptions options;
  options.layers = std::map<std::int64_t, std::int64_t>{{0, 0}};
  EXPECT_ERROR(write_adapter_folder(home.path() / "out", adapter, Family::kLlavaHf, "base", options),
               "no layer of the adapter would be left");
  EXPECT_FALSE(fs::exists(home.path() / "out"));
}

TEST(AdapterFolder, ALayerWhoseNormAloneWasTrainedIsRevertedToo) {
  const TemporaryFolder home;
  make_checkpoint(home.path() / "base");
  make_adapter(home.path() / "adapter", open_small(home.path() / "base"), {2});
  train_norms_beside(home.path() / "adapter", {4});
  const AdapterFile adapter(home.path() / "adapter");
  EXPECT_EQ(adapter_reversion(adapter, LayerSet(5, {4})), (std::map<std::int64_t, std::int64_t>{{2, 2}}));
  EXPECT_ERROR(adapter_reversion(adapter, LayerSet(5, {2})), "no layer of the adapter would be left");
}

}  // namespace
}  // namespace striate::test
