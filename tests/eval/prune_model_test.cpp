// Pruning and sweeps as requests: what they write, what they tell, what they refuse.
#include "striate/eval/prune_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/eval/prune_sweep.h"
#include "striate/model/adapter_file.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/test_device.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class PruneModel : public testing::Test {
 protected:
  PruneModel() {
    make_checkpoint(path("model"));
    make_adapter(path("adapter"), open_small(path("model")), {1, 3});
  }
  fs::path path(const std::string& name) const { return home_.path() / name; }
  PruneRequest request() const {
    PruneRequest r;
    r.model.model = path("model");
    r.choice.region = "none";
    r.choice.placement = exact_placement();
    r.output.out = path("out");
    return r;
  }
  fs::path write_scores(const std::vector<double>& bi) const {
    ScoreFile scores;
    scores.model = "model";
    scores.layers = static_cast<std::int64_t>(bi.size());
    scores.samples = 4;
    scores.metrics["bi"] = {bi};
    AtomicFile file(OutputPath::named(path("scores.json"), Existing::kReplace));
    write_score_file(scores, file);
    return path("scores.json");
  }

  TemporaryFolder home_;
};

TEST_F(PruneModel, ListedLayersGoAndTheResultIsComparedWithTheModelInMemory) {
  PruneRequest r = request();
  r.layers = "1,3";
  const PruneResult result = prune_model(r);
  EXPECT_THAT(result.gone(), ElementsAre(1, 3));
  EXPECT_EQ(result.layers(), 5);
  EXPECT_LT(result.after.parameters, result.before.parameters);
  EXPECT_EQ(result.after.bytes, result.written.bytes);
  ASSERT_TRUE(result.check);
  EXPECT_LE(result.check->difference.relative(), result.check->tolerance);
  EXPECT_EQ(open_small(path("out")).config.decoder.layers, 3);
  EXPECT_EQ(prune_choice_json(r, result)["metric"], "list");
}

TEST_F(PruneModel, TheLowestScoresOfAFileOutsideTheRegionGo) {
  PruneRequest r = request();
  r.choice.region = "0";
  r.choice.metric = "bi";
  r.choice.scores = write_scores({0.1, 0.5, 0.2, 0.9, 0.3});
  r.remove = 2;
  r.output.verify = false;
  const PruneResult result = prune_model(r);
  ASSERT_EQ(result.removed.size(), 2U);
  EXPECT_EQ(result.removed[0], (PrunedLayer{2, 0.2}));
  EXPECT_EQ(result.removed[1], (PrunedLayer{4, 0.3}));
  EXPECT_THAT(result.scores, testing::HasSubstr("scores.json, of model, 4 samples"));
  EXPECT_FALSE(result.check);
}

TEST_F(PruneModel, AKeptAdapterHasTheNewLayerNumbers) {
  PruneRequest r = request();
  r.model.adapter = path("adapter");
  r.layers = "0,2";
  r.keep_adapter = true;
  const PruneResult result = prune_model(r);
  EXPECT_TRUE(result.check);
  EXPECT_THAT(AdapterFile(path("out") / kKeptAdapterFolder).layers(), ElementsAre(0, 1));
}

TEST_F(PruneModel, ANormBesideAKeptAdapterHasTheNewLayerNumber) {
  train_norms_beside(path("adapter"), {2, 4});
  PruneRequest r = request();
  r.model.adapter = path("adapter");
  r.layers = "0,2";
  r.keep_adapter = true;
  const PruneResult result = prune_model(r);
  ASSERT_TRUE(result.check);
  EXPECT_LE(result.check->difference.relative(), result.check->tolerance);
  const fs::path kept = path("out") / kKeptAdapterFolder;
  const Checkpoint before = open_small(path("model"), path("adapter")), after = open_small(path("out"), kept);
  EXPECT_TRUE(after.weights.load("model.layers.2.input_layernorm.weight", {32})
                  .equal(before.weights.load("model.layers.4.input_layernorm.weight", {32})));
}

TEST_F(PruneModel, RequestsThatContradictThemselvesAreRefusedBeforeAnythingIsOpened) {
  PruneRequest r = request();
  r.model.model = path("absent");
  EXPECT_ERROR(prune_model(r), "no layers to remove were given");
  r.remove = 1;
  r.layers = "2";
  EXPECT_ERROR(prune_model(r), "`remove` and `layers` exclude each other");
  r.layers.clear();
  r.keep_adapter = true;
  EXPECT_ERROR(prune_model(r), "`keep_adapter` needs an adapter");
  r.keep_adapter = false;
  r.output.out.clear();
  EXPECT_ERROR(prune_model(r), "no `out` folder was given");
}

TEST_F(PruneModel, WhatCannotBeChosenLeavesNothingBehind) {
  PruneRequest r = request();
  r.remove = 1;
  EXPECT_ERROR(prune_model(r), "no scores to choose layers by were given");
  r.choice.region = "from-run";
  EXPECT_ERROR(prune_model(r), "no region is recorded for this model");
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(PruneModel, SweepsThatMakeNoSenseAreRefusedBeforeWeightsAreRead) {
  SweepRequest sweep;
  sweep.model.model = path("model");
  EXPECT_ERROR(sweep_pruning(sweep), "`sweep` needs held-out samples");
  sweep.held_out.data = path("held-out.json");
  sweep.baseline_scores = path("scores.json");
  EXPECT_ERROR(sweep_pruning(sweep), "`baseline_scores` needs a baseline");
  sweep.baseline_scores.reset();
  sweep.from = 3;
  sweep.to = 1;
  EXPECT_ERROR(sweep_pruning(sweep), "`sweep` 3..1 ends below its start");
  sweep.to = 5;
  EXPECT_ERROR(sweep_pruning(sweep), "the decoder has 5 layers, and one must stay");
}

}  // namespace
}  // namespace striate::test
