// Gradients and short training runs against the goldens, for every activation checkpointing and for packed streams.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "striate/train/optimizer.h"
#include "striate/train/plan.h"
#include "striate/train/train_pass.h"
#include "tests/parity/golden.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

// Parameters by name.
std::map<std::string, Parameter*> by_name(Tunable& tunable) {
  std::map<std::string, Parameter*> found;
  for (const auto& parameter : tunable.parameters().all()) found[parameter->name] = parameter.get();
  return found;
}

// The mean negative log-likelihood, with its gradients in the parameters.
double loss_and_gradients(Tunable& tunable, const PackedBatch& batch, ActivationCheckpointing checkpointing) {
  tunable.parameters().zero_gradients();
  const auto targets = static_cast<double>(batch.targets.numel());
  const PassResult result = TrainPass(tunable, checkpointing).run(batch, 1.0 / targets, 0);
  return result.nll.sum().item<double>() / targets;
}

// Adapters on the golden's targets alone, with its values; the projector is trained beside them where there are images.
struct GoldenAdapters {
  std::unique_ptr<Lvlm> model;
  std::unique_ptr<Tunable> tunable;
  std::map<std::string, std::string> golden_names;  // of parameters -> "layers.0.self_attn.q_proj.A"
};

GoldenAdapters golden_adapters(const Golden& golden, bool with_projector) {
  GoldenAdapters result;
  result.model = load_golden_model(golden, Compute::kFloat32);
  std::vector<std::shared_ptr<Parameter>> parameters;
  TuneOptions options;
  options.freeze_projector = !with_projector;
  options.lora.rank = golden.json().at("lora").at("rank");
  options.lora.alpha = golden.json().at("lora").at("alpha").get<double>();
  options.lora.dropout = 0;
  // Every linear of the targets' layers gets an adapter; those that are not targets keep B = 0 and stay out of the way.
  std::set<std::int64_t> layers;
  for (const std::string target : golden.json().at("lora").at("targets")) {
    const std::string rest = target.substr(std::string("layers.").size());
    layers.insert(std::stoll(rest.substr(0, rest.find('.'))));
    for (const char* half : {"A", "B"}) {
      result.golden_names["model." + target + ".lora_" + half + ".weight"] = target + "." + half;
    }
  }
  options.layers = LayerSet(result.model->config().decoder.layers, {layers.begin(), layers.end()});
  result.tunable = std::make_unique<Tunable>(*result.model, options);
  for (auto& [name, parameter] : by_name(*result.tunable)) {
    const auto found = result.golden_names.find(name);
    if (found != result.golden_names.end()) parameter->value.copy_(golden.load("lora." + found->second));
  }
  result.tunable->parameters().refresh();
  return result;
}

PackedBatch golden_batch(const Golden& golden, const Lvlm& model, int copies = 1) {
  const std::vector<Sample> samples = golden.samples(model);
  std::vector<Sample> repeated;
  for (int copy = 0; copy < copies; ++copy) repeated.insert(repeated.end(), samples.begin(), samples.end());
  return pack(repeated);
}

constexpr double kRate = 1e-3;  // of the goldens' training runs, whose other settings are AdamWOptions' own

class GradientParity : public testing::TestWithParam<std::filesystem::path> {};
class AdapterGradientParity : public GradientParity {};
class TrainingParity : public GradientParity {};

TEST_P(GradientParity, EveryWeightsGradientMatchesUnderEveryCheckpointing) {
  const Golden golden(GetParam());
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    SCOPED_TRACE(checkpointing_name(checkpointing));
    const auto model = load_golden_model(golden, Compute::kFloat32);
    TuneOptions options;
    options.stage = Stage::kPretrain;
    Tunable tunable(*model, options);
    // Packed with a copy of itself the mean loss, and so its gradients, stay what they are.
    for (const int copies : {1, 3}) {
      const PackedBatch batch = golden_batch(golden, *model, copies);
      const double loss = loss_and_gradients(tunable, batch, checkpointing);
      const auto parameters = by_name(tunable);
      if (golden.has("loss")) golden.compare("loss", at::full_like(golden.load("loss"), loss));
      for (const std::string& name : golden.expected()) {
        if (name.starts_with("grad.")) golden.compare(name, parameters.at(name.substr(5))->gradient);
      }
      if (!golden.has("llm_grad_norms")) continue;
      std::vector<double> norms;
      for (const std::string name : golden.json().at("llm_grad_names")) {
        norms.push_back(parameters.at(name)->gradient.norm().item<double>());
      }
      golden.compare("llm_grad_norms", at::tensor(norms, at::kDouble));
    }
  }
}

TEST_P(AdapterGradientParity, AdaptersGradientsMatchUnderEveryCheckpointing) {
  const Golden golden(GetParam());
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    SCOPED_TRACE(checkpointing_name(checkpointing));
    const bool projector = golden.has("lora.grad.projector.0.weight");
    GoldenAdapters adapters = golden_adapters(golden, projector);
    for (const int copies : {1, 2}) {
      const double loss =
          loss_and_gradients(*adapters.tunable, golden_batch(golden, *adapters.model, copies), checkpointing);
      golden.compare("lora.loss", at::full_like(golden.load("lora.loss"), loss));
      std::set<std::string> compared;
      for (const auto& [name, parameter] : by_name(*adapters.tunable)) {
        const auto found = adapters.golden_names.find(name);
        const bool is_target = found != adapters.golden_names.end();
        if (!is_target && !name.starts_with("projector.")) continue;
        const std::string expected = "lora.grad." + (is_target ? found->second : name);
        golden.compare(expected, parameter->gradient);
        compared.insert(expected);
      }
      for (const std::string& expected : golden.expected()) {
        EXPECT_TRUE(!expected.starts_with("lora.grad.") || compared.contains(expected)) << "not compared: " << expected;
      }
    }
  }
}

// The golden trains its targets' adapters and the projector alone: the adapters that stand beside them here get no
// gradient, with which AdamW leaves them as they are.
void keep_others_still(const GoldenAdapters& adapters) {
  for (const auto& [name, parameter] : by_name(*adapters.tunable)) {
    if (!adapters.golden_names.contains(name) && !name.starts_with("projector.")) parameter->gradient.zero_();
  }
}

TEST_P(TrainingParity, StepsOfTheProductsAdamWGiveTheOriginalsLosses) {
  const Golden golden(GetParam());
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    SCOPED_TRACE(checkpointing_name(checkpointing));
    GoldenAdapters adapters = golden_adapters(golden, golden.has("lora.grad.projector.0.weight"));
    const PackedBatch batch = golden_batch(golden, *adapters.model);
    AdamW optimizer(adapters.tunable->parameters(), {});
    std::vector<double> losses;
    for (int step = 1; step <= golden.load("train.losses").numel(); ++step) {
      losses.push_back(loss_and_gradients(*adapters.tunable, batch, checkpointing));
      keep_others_still(adapters);
      optimizer.step({.projector = kRate, .adapter = kRate, .decoder = kRate, .vision_tower = kRate});
    }
    golden.compare("train.losses", at::tensor(losses, at::kDouble));
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, GradientParity, testing::ValuesIn(Golden::all_cases()), kCaseName);
INSTANTIATE_TEST_SUITE_P(Goldens, AdapterGradientParity, testing::ValuesIn(Golden::cases_with("lora.loss")), kCaseName);
INSTANTIATE_TEST_SUITE_P(Goldens, TrainingParity, testing::ValuesIn(Golden::cases_with("train.losses")), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GradientParity);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AdapterGradientParity);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TrainingParity);

}  // namespace
}  // namespace striate::test
