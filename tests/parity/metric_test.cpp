// Layer scores against the goldens.
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "striate/model/load.h"
#include "striate/region/layer_scores.h"
#include "striate/region/param_change.h"
#include "striate/tensor/fused_ops.h"
#include "tests/parity/golden.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

at::Tensor values(const Score& score) {
  return at::tensor(score.mean, at::kDouble);
}

ScoreFile scores_of(const Lvlm& model, std::span<const Sample> samples, LayerScoreOptions options = {}) {
  LayerScoreCollector collector(model.config().decoder, options);
  collector.add(model, pack(samples));
  ScoreFile file;
  collector.report(file);
  return file;
}

// [n - 1, l] = d(x_l, x_{l + n}), -1 where undefined.
at::Tensor angular_by_length(const ScoreFile& scores) {
  at::Tensor out = at::full({scores.layers, scores.layers}, -1.0, at::TensorOptions(at::kDouble));
  for (const auto& [n, score] : scores.angular) {
    for (std::size_t l = 0; l < score.mean.size(); ++l) out[n - 1][static_cast<std::int64_t>(l)] = score.mean[l];
  }
  return out;
}

// [i, j] = d(x_i, x_j); the diagonal as the golden has it, for it is rounding.
at::Tensor angular_pairs(const ScoreFile& scores, const at::Tensor& golden) {
  at::Tensor out = golden.to(at::kDouble).clone();
  for (const auto& [n, score] : scores.angular) {
    for (std::size_t l = 0; l < score.mean.size(); ++l) {
      const auto i = static_cast<std::int64_t>(l);
      out[i][i + n] = score.mean[l];
      out[i + n][i] = score.mean[l];
    }
  }
  return out;
}

at::Tensor best_starts(const ScoreFile& scores) {
  std::vector<std::int64_t> best;
  for (const auto& [n, score] : scores.angular) {
    best.push_back(std::min_element(score.mean.begin(), score.mean.end()) - score.mean.begin());
  }
  return at::tensor(best, at::kLong);
}

// W' = W + u v^T is an adapter of rank 1.
ParamChange perturbed(const Golden& golden) {
  const auto model = load_golden_model(golden, Compute::kFloat32);
  for (std::size_t i = 0; i < model->decoder().layers().size(); ++i) {
    DecoderLayer& layer = model->decoder().layers()[i];
    for (const auto& [name, linear] : std::vector(layer.linears())) {
      const std::string prefix = "perturb.layers." + std::to_string(i) + "." + name;
      layer.replace_linear(name, std::make_shared<LoraLinear>(linear->matrix(), golden.load(prefix + ".v").unsqueeze(0),
                                                              golden.load(prefix + ".u").unsqueeze(1), 1.0));
    }
  }
  ModelPaths paths;
  paths.model = golden.model_folder();
  return param_change(*model, open_checkpoint(paths));
}

at::Tensor change_matrix(const Golden& golden, const ParamChange& change) {
  std::vector<at::Tensor> columns;
  for (const std::string name : golden.json().at("linear_names")) {
    columns.push_back(at::tensor(change.linears.at(name), at::kDouble));
  }
  return at::stack(columns, 1);
}

class MetricParity : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(MetricParity, ScoresMatchTheReference) {
  const Golden golden(GetParam());
  const auto model = load_golden_model(golden, Compute::kFloat32);
  const std::vector<Sample> samples = golden.samples(*model);
  const ScoreFile scores = scores_of(*model, samples);
  const auto metric = [&](const char* name) {
    return [&, name](const std::string& tensor) { golden.compare(tensor, values(scores.metric(name))); };
  };
  const std::map<std::string, std::function<void(const std::string&)>> comparisons = {
      {"metric.bi", metric("bi")},
      {"metric.bi_text", metric("bi_text")},
      {"metric.bi_image", metric("bi_image")},
      {"metric.bi_multimodal", metric("bi_multimodal")},
      {"metric.bi_hf",
       [&](auto& name) {
         golden.compare(name, values(scores_of(*model, samples, {.after_final_norm = true}).metric("bi")));
       }},
      {"metric.angular_by_n", [&](auto& name) { golden.compare(name, angular_by_length(scores)); }},
      {"metric.angular_pairs",
       [&](auto& name) { golden.compare(name, angular_pairs(scores, golden.load("metric.angular_pairs"))); }},
      {"metric.angular_best_start", [&](auto& name) { golden.compare(name, best_starts(scores)); }},
      {"image_attention_score", metric("image_attention_text")},
      {"image_attention_score_after", metric("image_attention")},
      {"image_attention_score_answer", metric("image_attention_answer")},
      {"image_attention_score_last", metric("image_attention_last")},
      {"metric.param_change_matrix",
       [&](auto& name) { golden.compare(name, change_matrix(golden, perturbed(golden))); }},
      {"metric.param_change_layer",
       [&](auto& name) { golden.compare(name, at::tensor(perturbed(golden).joint, at::kDouble)); }},
      {"metric.param_change_mean",
       [&](auto& name) { golden.compare(name, at::tensor(perturbed(golden).mean, at::kDouble)); }},
      {"metric.param_change_sum",
       [&](auto& name) { golden.compare(name, at::tensor(perturbed(golden).sum, at::kDouble)); }},
  };
  for (const std::string& name : golden.expected()) {
    const bool ours = name.starts_with("metric.") || name.starts_with("param_change") || name.starts_with("angular") ||
                      name.starts_with("image_attention_score");
    if (!ours) continue;
    const auto found = comparisons.find(name);
    if (found == comparisons.end()) {
      ADD_FAILURE() << golden.name() << ": nothing compares the expected tensor " << name;
      continue;
    }
    found->second(name);
  }
}

// Heads are averaged last: the mean of a layer's heads is the layer's score.
TEST_P(MetricParity, HeadsAverageToTheirLayer) {
  const Golden golden(GetParam());
  const auto model = load_golden_model(golden, Compute::kFloat32);
  const ScoreFile scores = scores_of(*model, golden.samples(*model));
  for (std::size_t layer = 0; layer < scores.image_attention_heads.size(); ++layer) {
    const double of_layer = scores.metric("image_attention").mean[layer];
    const at::Tensor heads = values(scores.image_attention_heads[layer]);
    if (std::isnan(of_layer)) {
      EXPECT_TRUE(heads.isnan().all().item<bool>());
    } else {
      EXPECT_NEAR(heads.mean().item<double>(), of_layer, 1e-9);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, MetricParity, testing::ValuesIn(Golden::all_cases()), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MetricParity);

}  // namespace
}  // namespace striate::test
