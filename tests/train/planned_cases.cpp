#include "tests/train/planned_cases.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "striate/model/name_map.h"
#include "striate/model/tensor_list.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_model.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

constexpr std::int64_t kPlannedSamples = 40;
constexpr std::int64_t kPictureRows = 16;    // of a picture
constexpr std::int64_t kTextTokens = 44;     // tokens beside it
constexpr std::int64_t kLearnedTokens = 20;  // of them

// On layers of a decoder of five.
TuneOptions tune_options(Stage stage, std::vector<std::int64_t> layers, TuneKind kind = TuneKind::kLora) {
  TuneOptions options;
  options.stage = stage;
  options.kind = kind;
  options.layers = LayerSet(5, std::move(layers));
  options.lora.rank = 8;
  return options;
}

}  // namespace

ModelConfig planned_config(DecoderKind kind) {
  ModelConfig config = tiny_config({.kind = kind, .layers = 5, .vocab_size = 600});
  config.decoder.hidden_size = 96;
  config.decoder.mlp_size = 208;
  config.decoder.heads = 6;
  config.decoder.kv_heads = kind == DecoderKind::kPhi3 ? 6 : 3;
  config.decoder.head_dim = 16;
  config.vision->image_size = 56;
  config.projector->out_size = 96;
  return config;
}

std::unique_ptr<Lvlm> planned_model(const ModelConfig& config, at::ScalarType stored, const Placement& placement) {
  const TemporaryFolder folder;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const TensorSpec& spec : expected_tensors(config)) {
    const at::Tensor values = at::randn(spec.shape, generator) * 0.05;
    tensors.emplace_back(file_name(spec.name, Naming::kOriginal), values.to(stored));
  }
  write_safetensors(folder.path() / "w.safetensors", tensors);
  WeightSource weights;
  weights.add(open_safetensors(folder.path() / "w.safetensors"));
  return std::make_unique<Lvlm>(config, weights, placement);
}

PackedBatch planned_batch(const ModelConfig& config, Compute compute) {
  std::vector<Sample> samples;
  for (std::int64_t s = 0; s < kPlannedSamples; ++s) {
    Sample sample;
    sample.key = static_cast<std::uint64_t>(s);
    sample.input_ids = {kImageToken};
    sample.labels = {kIgnoreLabel};
    for (std::int64_t t = 0; t < kTextTokens; ++t) {
      sample.input_ids.push_back((7 * t + s) % config.decoder.vocab_size);
      sample.labels.push_back(t < kTextTokens - kLearnedTokens ? kIgnoreLabel : sample.input_ids.back());
    }
    sample.images = {at::randn({kPictureRows, config.vision->hidden_size}).to(compute_dtype(compute))};
    samples.push_back(std::move(sample));
  }
  return pack(samples);
}

void PrintTo(const PlannedCase& c, std::ostream* out) {
  *out << c.name;
}

std::vector<PlannedCase> planned_cases() {
  std::vector<PlannedCase> all;
  const auto add = [&](std::string name, TuneOptions tune) -> PlannedCase& {
    PlannedCase& added = all.emplace_back();
    added.name = std::move(name);
    added.tune = std::move(tune);
    return added;
  };
  add("UniformAdapters", tune_options(Stage::kTune, {0, 2, 4}));
  add("EveryLayerAdapters", tune_options(Stage::kTune, {0, 1, 2, 3, 4}));
  add("PhiAdapters", tune_options(Stage::kTune, {0, 2, 4})).kind = DecoderKind::kPhi3;
  add("NoDropout", tune_options(Stage::kTune, {1, 3})).tune.lora.dropout = 0;
  add("FrozenProjectorTop", tune_options(Stage::kTune, {3, 4})).tune.freeze_projector = true;
  add("FewTargets", tune_options(Stage::kTune, {1, 3})).tune.lora.targets = {"q_proj", "down_proj"};
  add("WholeLayers", tune_options(Stage::kTune, {0, 2}, TuneKind::kFull));
  add("Align", tune_options(Stage::kAlign, {}));
  add("Pretrain", tune_options(Stage::kPretrain, {}));
  add("PhiPretrain", tune_options(Stage::kPretrain, {})).kind = DecoderKind::kPhi3;
  for (const FrozenPrecision precision : {FrozenPrecision::kInt8, FrozenPrecision::kFp8, FrozenPrecision::kNf4}) {
    PlannedCase& quantized = add("Frozen_" + frozen_precision_name(precision), tune_options(Stage::kTune, {0, 3}));
    quantized.tune.frozen_precision = precision;
  }
  add("AlignInNf4", tune_options(Stage::kAlign, {})).tune.frozen_precision = FrozenPrecision::kNf4;
  add("StoredInBf16", tune_options(Stage::kTune, {0, 2, 4})).stored = at::kBFloat16;
  if (best_compute() == Compute::kBFloat16) {
    PlannedCase& bf16 = add("ComputedInBf16", tune_options(Stage::kTune, {0, 2, 4}));
    bf16.stored = at::kBFloat16;
    bf16.compute = Compute::kBFloat16;
  }
  return all;
}

Placement planned_placement(const PlannedCase& c, at::Device device) {
  return {device, c.compute, quantized_layers(planned_config(c.kind).decoder, c.tune)};
}

PlanRequest planned_request(const PlannedCase& c) {
  PlanRequest request;
  request.config = planned_config(c.kind);
  request.tune = c.tune;
  request.compute = c.compute;
  request.stream = kPlannedStream;
  const at::ScalarType stored = c.stored;
  request.stored_type = [stored](const std::string&) { return stored; };
  return request;
}

void expect_near_plan(std::int64_t measured, std::int64_t planned, const std::string& what) {
  EXPECT_NEAR(static_cast<double>(planned) / static_cast<double>(measured), 1.0, 0.1)
      << what << ": planned " << planned << ", measured " << measured;
}

}  // namespace striate::test
