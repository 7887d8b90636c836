#include "striate/region/adapter_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/region/logits_check.h"
#include "striate/region/model_change.h"
#include "striate/region/model_folder.h"
#include "striate/region/revert.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"

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
  const Checkpoint source = open_small(path("base"), path("adapter"));
  ModelChange change;
  change.keep = {0, 2, 3, 4};
  write_model_folder(path("pruned"), open_small(path("base")), change);
  AdapterOutOptions options;
  options.layers = new_layer_numbers(change.keep);
  write_adapter_folder(path("out"), AdapterFile(path("adapter")), source.config.family, path("pruned"), options);
  EXPECT_EQ(AdapterFile(path("out")).layers(), std::vector<std::int64_t>{2});
  const Lvlm live = load_model(source, kReference)->without_layers({1});
  EXPECT_LE(difference(probe_logits(live, probe_inputs(live.config())), open_small(path("pruned"), path("out"))), 1e-6);
}

TEST_P(AdapterFolders, RevertedLayersLoseTheirAdapters) {
  const Checkpoint source = open_small(path("base"), path("adapter"));
  const AdapterFile adapter(path("adapter"));
  AdapterOutOptions options;
  options.layers = adapter_reversion(adapter, {0, 3});
  write_adapter_folder(path("out"), adapter, source.config.family, path("base"), options);
  const auto live = load_model(source, kReference);
  remove_adapters(*live, {0, 3});
  EXPECT_EQ(AdapterFile(path("out")).layers(), std::vector<std::int64_t>{1});
  EXPECT_LE(difference(probe_logits(*live, probe_inputs(live->config())), open_small(path("base"), path("out"))), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Families, AdapterFolders, testing::ValuesIn(every_family()));

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
  EXPECT_THROW(adapter_reversion(adapter, {2}), Error);
  EXPECT_THROW(adapter_reversion(adapter, {0, 1}), Error);
  AdapterOutOptions options;
  options.layers = std::map<std::int64_t, std::int64_t>{{0, 0}};
  EXPECT_THROW(write_adapter_folder(home.path() / "out", adapter, Family::kLlavaHf, "base", options), Error);
  EXPECT_FALSE(fs::exists(home.path() / "out"));
}

}  // namespace
}  // namespace striate::test
