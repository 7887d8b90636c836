// Gradients and short training runs against the goldens, for every activation policy and for packed streams.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

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
double loss_and_gradients(Tunable& tunable, const PackedBatch& batch, ActivationPolicy policy) {
  tunable.parameters().zero_gradients();
  const auto targets = static_cast<double>(batch.targets.numel());
  const PassResult result = TrainPass(tunable, policy).run(batch, 1.0 / targets, 0);
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
  options.lora.alpha = golden.json().at("lora").at("alpha");
  options.lora.dropout = 0;
  // Every linear of the targets' layers gets an adapter; those that are no target keep B = 0 and stay out of the way.
  for (const std::string target : golden.json().at("lora").at("targets")) {
    const std::string rest = target.substr(std::string("layers.").size());
    options.layers.push_back(std::stoll(rest.substr(0, rest.find('.'))));
    for (const char* half : {"A", "B"}) {
      result.golden_names["model." + target + ".lora_" + half + ".weight"] = target + "." + half;
    }
  }
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

class GradientParity : public testing::TestWithParam<std::filesystem::path> {};
class AdapterGradientParity : public GradientParity {};
class TrainingParity : public GradientParity {};

TEST_P(GradientParity, EveryWeightsGradientMatchesUnderEveryPolicy) {
  const Golden golden(GetParam());
  for (const ActivationPolicy policy : kPolicies) {
    SCOPED_TRACE(policy_name(policy));
    const auto model = load_golden_model(golden, Compute::kFloat32);
    TuneOptions options;
    options.stage = Stage::kPretrain;
    Tunable tunable(*model, options);
    // Packed with a copy of itself the mean loss, and so its gradients, stay what they are.
    for (const int copies : {1, 3}) {
      const PackedBatch batch = golden_batch(golden, *model, copies);
      const double loss = loss_and_gradients(tunable, batch, policy);
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

TEST_P(AdapterGradientParity, AdaptersGradientsMatchUnderEveryPolicy) {
  const Golden golden(GetParam());
  for (const ActivationPolicy policy : kPolicies) {
    SCOPED_TRACE(policy_name(policy));
    const bool projector = golden.has("lora.grad.projector.0.weight");
    GoldenAdapters adapters = golden_adapters(golden, projector);
    for (const int copies : {1, 2}) {
      const double loss = loss_and_gradients(*adapters.tunable, golden_batch(golden, *adapters.model, copies), policy);
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

// The golden trains the targets alone; the adapters that stand beside them here are left as they are.
TEST_P(TrainingParity, SixStepsOfAdamWGiveTheOriginalsLosses) {
  const Golden golden(GetParam());
  for (const ActivationPolicy policy : kPolicies) {
    SCOPED_TRACE(policy_name(policy));
    GoldenAdapters adapters = golden_adapters(golden, golden.has("lora.grad.projector.0.weight"));
    const PackedBatch batch = golden_batch(golden, *adapters.model);
    std::map<std::string, std::pair<at::Tensor, at::Tensor>> moments;
    std::vector<double> losses;
    for (int step = 1; step <= golden.load("train.losses").numel(); ++step) {
      losses.push_back(loss_and_gradients(*adapters.tunable, batch, policy));
      for (const auto& [name, parameter] : by_name(*adapters.tunable)) {
        if (!adapters.golden_names.contains(name) && !name.starts_with("projector.")) continue;
        auto& [mean, square] =
            moments.try_emplace(name, at::zeros_like(parameter->value), at::zeros_like(parameter->value)).first->second;
        mean.lerp_(parameter->gradient, 0.1);
        square.mul_(0.999).addcmul_(parameter->gradient, parameter->gradient, 0.001);
        const at::Tensor spread = (square / (1.0 - std::pow(0.999, step))).sqrt_().add_(1e-8);
        parameter->value.addcdiv_(mean, spread, -1e-3 / (1.0 - std::pow(0.9, step)));
      }
    }
    golden.compare("train.losses", at::tensor(losses, at::kDouble));
  }
}

const auto kCaseName = [](const auto& info) { return info.param.filename().string(); };

// The cases that hold `tensor`.
std::vector<std::filesystem::path> cases_with(const std::string& tensor) {
  std::vector<std::filesystem::path> found = Golden::all_cases();
  std::erase_if(found, [&](const auto& folder) { return !Golden(folder).has(tensor); });
  return found;
}

INSTANTIATE_TEST_SUITE_P(Goldens, GradientParity, testing::ValuesIn(Golden::all_cases()), kCaseName);
INSTANTIATE_TEST_SUITE_P(Goldens, AdapterGradientParity, testing::ValuesIn(cases_with("lora.loss")), kCaseName);
INSTANTIATE_TEST_SUITE_P(Goldens, TrainingParity, testing::ValuesIn(cases_with("train.losses")), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GradientParity);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AdapterGradientParity);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TrainingParity);

}  // namespace
}  // namespace striate::test
