// Pruned models against the goldens.
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "striate/region/layer_scores.h"
#include "striate/region/prune_choice.h"
#include "tests/parity/golden.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

class PruneParity : public testing::TestWithParam<std::filesystem::path> {};

ScoreFile plain_scores(const Lvlm& model, std::span<const Sample> samples) {
  LayerScoreCollector collector(model.config().decoder, {});
  collector.add(model, pack(samples));
  ScoreFile file;
  file.layers = model.config().decoder.layers;
  collector.report(file);
  return file;
}

// The layers that go, what is left computes, and its loss.
void compare_pruned(const Golden& golden, const std::string& name, const PruneCriteria& criteria) {
  const auto model = load_golden_model(golden, Compute::kFloat32);
  const std::vector<Sample> samples = golden.samples(*model);
  const LayerSet removed =
      layers_of(choose_layers_to_prune(criteria, plain_scores(*model, samples)), criteria.protected_layers.depth());
  golden.compare(name + ".removed", at::tensor(removed.numbers(), at::kLong));
  const Lvlm pruned = model->without_layers(removed);
  const PackedBatch batch = pack(samples);
  const at::Tensor stream = pruned.forward(batch);
  golden.compare(name + ".logits_last", pruned.logits(stream.slice(0, -1)).squeeze(0));
  golden.compare(name + ".loss", pruned.target_nll(stream, batch).mean().reshape({1}));
}

TEST_P(PruneParity, SingleLayersAndBlocksAreTheGoldens) {
  const Golden golden(GetParam());
  const LayerSet none(load_golden_model(golden, Compute::kFloat32)->config().decoder.layers, {});
  const auto removed = [&](const char* name) { return golden.load(name).numel(); };
  compare_pruned(golden, "prune.bi2",
                 {.protected_layers = none, .remove = removed("prune.bi2.removed"), .metric = "bi"});
  compare_pruned(golden, "prune.block2",
                 {.protected_layers = none, .remove = removed("prune.block2.removed"), .contiguous = true});
}

INSTANTIATE_TEST_SUITE_P(Goldens, PruneParity, testing::ValuesIn(Golden::cases_with("prune.bi2.removed")), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PruneParity);

}  // namespace
}  // namespace striate::test
