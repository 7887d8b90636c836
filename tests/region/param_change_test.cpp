#include "striate/region/param_change.h"

#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "striate/base/error.h"
#include "striate/files/weight_file.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"
#include "tests/support/tiny_model.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

using testing::HasSubstr;

// A tiny checkpoint on disk, opened, with some tensors changed.
class ParamChanges : public testing::Test {
 protected:
  Checkpoint checkpoint(const TinyModelOptions& options = {}) {
    ModelConfig config = tiny_config(options);
    Checkpoint out{config, {}, folder_.path(), std::nullopt};
    const auto file = folder_.path() / "model.safetensors";
    write_tiny_weights(file, options);
    out.weights.add(open_weight_file(file));
    return out;
  }
  // The same without one tensor, or with another in its place.
  static Checkpoint with(const Checkpoint& base, const std::string& name, const std::optional<at::Tensor>& tensor,
                         const std::filesystem::path& file) {
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for (const auto& [canonical, entry] : base.weights.entries()) {
      if (canonical != name) tensors.emplace_back(entry.info->name, entry.file->load(entry.info->name));
    }
    if (tensor) tensors.emplace_back(name, *tensor);
    write_safetensors(file, tensors);
    Checkpoint out{base.config, {}, file.parent_path(), std::nullopt};
    out.weights.add(open_weight_file(file));
    return out;
  }
  static std::string refusal(const Lvlm& model, const Checkpoint& base) {
    try {
      param_change(model, base);
      return "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_NE(error.hint(), "");
      return error.what();
    }
  }

  TemporaryFolder folder_;
};

TEST_F(ParamChanges, AModelBesideItselfHasNotChanged) {
  const ParamChange change = param_change(*tiny_model(), checkpoint());
  EXPECT_EQ(change.joint, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(change.sum, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(change.linears.size(), 7U);
}

TEST_F(ParamChanges, AWeightThatIsScaledChangesByTheDifference) {
  const Checkpoint base = checkpoint();
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  const at::Tensor before = base.weights.load(name, {48, 32});
  const Checkpoint tuned = with(base, name, before * 1.25, folder_.path() / "tuned.safetensors");
  const ParamChange change = param_change(*load_model(tuned, exact_placement()), base);
  EXPECT_NEAR(change.linears.at("mlp.up_proj")[1], 0.25, 1e-6);
  EXPECT_NEAR(change.sum[1], 0.25, 1e-6);
  EXPECT_NEAR(change.mean[1], 0.25 / 7, 1e-6);
  EXPECT_EQ(change.joint[0], 0);
  EXPECT_GT(change.joint[1], 0);
  EXPECT_LT(change.joint[1], 0.25);
}

TEST_F(ParamChanges, AnAdapterCountsAsIfMerged) {
  const Checkpoint base = checkpoint();
  auto model = load_model(base, exact_placement());
  DecoderLayer& layer = model->decoder().layers()[2];
  const at::Tensor a = at::randn({4, 32});
  const at::Tensor b = at::randn({32, 4});
  const std::string name = "self_attn.q_proj";
  const auto linear = layer.linears().front().second;
  ASSERT_EQ(layer.linears().front().first, name);
  layer.replace_linear(name, std::make_shared<LoraLinear>(linear->matrix(), a, b, 0.5));
  const double ratio = (b.to(at::kDouble).matmul(a.to(at::kDouble)) * 0.5).norm().item<double>() /
                       linear->matrix().weight().norm().item<double>();
  EXPECT_NEAR(param_change(*model, base).linears.at(name)[2], ratio, 1e-5 * ratio);
}

TEST_F(ParamChanges, ABaseThatDoesNotFitIsRefusedByTheTensorsName) {
  const auto model = tiny_model();
  const Checkpoint base = checkpoint();
  const std::string name = "model.layers.1.self_attn.k_proj.weight";
  EXPECT_THAT(refusal(*model, with(base, name, std::nullopt, folder_.path() / "less.safetensors")),
              HasSubstr("has no tensor " + name));
  EXPECT_THAT(refusal(*model, with(base, name, at::randn({16, 16}), folder_.path() / "other.safetensors")),
              testing::AllOf(HasSubstr(name), HasSubstr("[16, 16]"), HasSubstr("[16, 32]")));
  EXPECT_THAT(refusal(*tiny_model({.layers = 2}), base), HasSubstr("has 3 layers, but the model has 2"));
}

}  // namespace
}  // namespace striate::test
