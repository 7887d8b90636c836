#include "striate/edit/revert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/edit/history.h"
#include "striate/edit/logits_check.h"
#include "striate/edit/model_folder.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const Placement kWhereCompared{at::kCPU, Compute::kFloat32};

// A tuned model and the one from before tuning.
class Reversion : public testing::TestWithParam<SmallCheckpoint> {
 protected:
  Reversion() {
    SmallCheckpoint shape = GetParam();
    make_checkpoint(path("base"), shape);
    shape.seed = 99;
    make_checkpoint(path("tuned"), shape);
  }
  fs::path path(const std::string& name) const { return home_.path() / name; }
  TemporaryFolder home_;
};

TEST_P(Reversion, TheNamedLayersGetTheBasesWeightsBitForBitAndNothingElseChanges) {
  const Checkpoint tuned = open_small(path("tuned"));
  const Checkpoint base = open_small(path("base"));
  const ModelChange change = reversion(tuned, base, LayerSet(5, {1, 4}));
  write_model_folder(path("out"), tuned, change);
  const Checkpoint out = open_small(path("out"));
  for (const auto& [name, entry] : tuned.weights.entries()) {
    const auto layer = split_layer_name(name);
    const bool reverted = layer && (layer->first == 1 || layer->first == 4);
    const Checkpoint& from = reverted ? base : tuned;
    EXPECT_TRUE(out.weights.load(name, entry.info->shape).equal(from.weights.load(name, entry.info->shape))) << name;
  }
  const auto live = load_model(tuned, kWhereCompared);
  revert_layers(*live, base, change.from_donor);
  const auto inputs = probe_inputs(tuned.config);
  EXPECT_LE(compare_logits(inputs, probe_logits(*live, inputs), probe_logits(out, inputs)).relative(), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Families, Reversion, testing::ValuesIn(every_family()), kFamilyName);

class RevertInput : public testing::Test {
 protected:
  RevertInput() { make_checkpoint(path("tuned"), {.seed = 8}); }
  fs::path path(const std::string& name) const { return home_.path() / name; }
  std::string refusal(const std::string& base, const std::vector<std::int64_t>& layers) const {
    const Checkpoint before = open_small(path(base));
    try {
      reversion(open_small(path("tuned")), before, LayerSet(5, layers));
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.what();
    }
    return "";
  }
  TemporaryFolder home_;
};

TEST_F(RevertInput, TheLanguageModelAloneIsABaseToo) {
  make_checkpoint(path("llm"), {.arch = "llama-2-7b", .seed = 3});
  const Checkpoint tuned = open_small(path("tuned"));
  const Checkpoint base = open_small(path("llm"));
  write_model_folder(path("out"), tuned, reversion(tuned, base, LayerSet(5, {2})));
  const std::string name = "model.layers.2.mlp.up_proj.weight";
  EXPECT_TRUE(open_small(path("out")).weights.load(name, {48, 32}).equal(base.weights.load(name, {48, 32})));
}

TEST_F(RevertInput, ABaseOfAnotherShapeIsRefused) {
  make_checkpoint(path("deeper"), {.layers = 6});
  make_checkpoint(path("phi"), {.arch = "bunny-phi3-mini", .layout = Layout::kOriginal});
  EXPECT_THAT(refusal("deeper", {0}), HasSubstr("6 layers"));
  EXPECT_THAT(refusal("phi", {0}), HasSubstr("Phi-3"));
  InitRequest wide;
  wide.arch = "llama-2-7b";
  wide.dtype = at::kFloat;
  wide.out = path("wide");
  wide.changes.layers = 5;
  wide.changes.hidden = 32;
  wide.changes.heads = wide.changes.kv_heads = 4;
  wide.changes.mlp = 64;
  wide.changes.vocab = 128;
  init_model(wide);
  EXPECT_THAT(refusal("wide", {3}), HasSubstr("model.layers.3.mlp.gate_proj.weight is [64, 32]"));
}

TEST_F(RevertInput, NothingToRevertIsRefused) {
  EXPECT_THAT(refusal("tuned", {0, 1, 2}), HasSubstr("nothing to revert: layers 0-2"));
}

TEST_F(RevertInput, APrunedModelsLayersComeFromWhereTheyWere) {
  make_checkpoint(path("base"), {.seed = 21});
  const Checkpoint whole = open_small(path("tuned"));
  ModelChange change;
  change.keep = LayerSet(5, {0, 3, 4});
  FolderOptions options;
  options.record = model_history("striate prune", "1", whole, change);
  write_model_folder(path("pruned"), whole, change, options);
  const Checkpoint pruned = open_small(path("pruned"));
  const Checkpoint base = open_small(path("base"));
  EXPECT_EQ(reversion(pruned, base, LayerSet(3, {1, 2})).from_donor,
            (std::map<std::int64_t, std::int64_t>{{1, 3}, {2, 4}}));
}

}  // namespace
}  // namespace striate::test
