#include "striate/train/adapter_out.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <regex>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/test_device.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// Small models of every family, written as published ones are.
class Outcome : public testing::TestWithParam<test::SmallCheckpoint> {
 protected:
  Outcome() {
    test::SmallCheckpoint shape = GetParam();
    shape.layers = 4;
    paths_.model = home_.path() / "base";
    test::make_checkpoint(*paths_.model, shape);
    base_ = open_checkpoint(paths_);
    model_ = load_model(*base_, test::exact_placement());
  }

  std::unique_ptr<Tunable> tunable(const TuneOptions& options) {
    auto made = std::make_unique<Tunable>(*model_, options);
    const at::Tensor values = made->parameters().values();
    const at::Tensor change = 0.05 * at::randn(values.sizes(), at::make_generator<at::CPUGeneratorImpl>(3));
    values.add_(change.to(values.device()));
    made->parameters().refresh();
    return made;
  }
  static at::Tensor logits_of(const Lvlm& model) {
    Sample sample;
    sample.input_ids = {1, kImageToken, 7, 8, 9};
    sample.images = {at::randn({model.config().vision->tokens(), model.config().vision->hidden_size},
                               at::make_generator<at::CPUGeneratorImpl>(9))};
    const std::vector<Sample> samples = {sample};
    return model.logits(model.forward(pack(samples)));
  }
  void expect_same_logits(const ModelPaths& paths) {
    const auto again = load_model(open_checkpoint(paths), test::exact_placement());
    EXPECT_TRUE(at::allclose(logits_of(*again), logits_of(*model_), 1e-5, 1e-5));
  }
  fs::path out() const { return home_.path() / "out"; }

  test::TemporaryFolder home_;
  ModelPaths paths_;
  std::optional<Checkpoint> base_;
  std::unique_ptr<Lvlm> model_;
};

TEST_P(Outcome, AnAdapterWithItsProjectorGivesTheLiveModelsLogits) {
  TuneOptions options;
  options.layers = LayerSet(4, {1, 3});
  options.lora.rank = 4;
  options.lora.alpha = 12;
  const at::Tensor before = logits_of(*model_);
  const auto trained = tunable(options);
  write_outcome(out(), *trained, *base_);
  EXPECT_FALSE(at::allclose(logits_of(*model_), before, 1e-2, 1e-2)) << "the change is too small to test anything";
  paths_.adapter = out();
  expect_same_logits(paths_);
}

TEST_P(Outcome, ThePatternMatchesTheRegionsLinearsAndNothingElse) {
  TuneOptions options;
  options.layers = LayerSet(4, {1, 3});
  options.lora.rank = 2;
  const auto trained = tunable(options);
  const std::regex pattern(target_pattern(*trained));
  const bool llava = model_->config().family == Family::kLlavaHf;
  std::size_t matched = 0;
  for (const std::string& prefix : llava ? std::vector<std::string>{"language_model.model.", "model.language_model."}
                                         : std::vector<std::string>{"model."}) {
    for (int layer = 0; layer < 14; ++layer) {
      for (const LinearShape& linear : decoder_linears(model_->config().decoder)) {
        const bool matches = std::regex_match(prefix + "layers." + std::to_string(layer) + "." + linear.name, pattern);
        EXPECT_EQ(matches, layer == 1 || layer == 3) << prefix << layer << linear.name;
        matched += matches ? 1 : 0;
      }
    }
  }
  EXPECT_GT(matched, 0U);
  for (const char* name : {"vision_tower.vision_model.encoder.layers.1.self_attn.q_proj",
                           "model.vision_tower.vision_model.encoder.layers.1.self_attn.k_proj",
                           "model.vision_tower.vision_tower.vision_model.encoder.layers.3.self_attn.q_proj",
                           "model.mm_projector.0", "lm_head"}) {
    EXPECT_FALSE(std::regex_match(name, pattern)) << name;
  }
}

TEST_P(Outcome, AFullyTunedModelIsAModelOfItsOwn) {
  TuneOptions options;
  options.kind = TuneKind::kFull;
  options.layers = LayerSet(4, {0, 2});
  const auto trained = tunable(options);
  ModelOutOptions small;
  small.max_shard_bytes = 20'000;
  write_model(out(), *trained, *base_, small);
  EXPECT_TRUE(fs::exists(out() / "model.safetensors.index.json"));
  ModelPaths paths;
  paths.model = out();
  expect_same_logits(paths);
}

TEST_P(Outcome, APretrainedModelIsOneToo) {
  TuneOptions options;
  options.stage = Stage::kPretrain;
  const auto trained = tunable(options);
  write_outcome(out(), *trained, *base_);
  ModelPaths paths;
  paths.model = out();
  expect_same_logits(paths);
}

TEST_P(Outcome, AnAlignedProjectorReplacesTheModels) {
  TuneOptions options;
  options.stage = Stage::kAlign;
  const auto trained = tunable(options);
  write_outcome(out(), *trained, *base_);
  paths_.projector = out();
  expect_same_logits(paths_);
}

TEST_P(Outcome, TensorsTakeTheTypeThatIsAskedFor) {
  TuneOptions options;
  options.kind = TuneKind::kFull;
  options.layers = LayerSet(4, {0});
  const auto trained = tunable(options);
  ModelOutOptions half;
  half.dtype = at::kBFloat16;
  write_model(out(), *trained, *base_, half);
  const auto written = open_weight_directory(out());
  for (const TensorInfo& info : written->tensors()) EXPECT_EQ(info.dtype, at::kBFloat16);
  const nlohmann::json config = read_json_file(out() / "config.json");
  EXPECT_NE(config.dump().find("bfloat16"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Families, Outcome, testing::ValuesIn(test::every_family()), test::kFamilyName);

}  // namespace
}  // namespace striate
