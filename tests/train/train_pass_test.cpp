// What a training pass may and may not do.
#include "striate/train/train_pass.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "striate/base/error.h"
#include "striate/text/conversation.h"
#include "tests/support/errors.h"
#include "tests/train/gradient_checks.h"

namespace striate::test {
namespace {

at::Tensor gradients_of(Tunable& tunable, const std::vector<Sample>& batch, ActivationCheckpointing checkpointing,
                        std::int64_t step = 7) {
  tunable.parameters().zero_gradients();
  TrainPass(tunable, checkpointing).run(pack(batch), 0.1, step);
  return tunable.parameters().gradients().clone();
}

TEST(TrainPass, PoliciesGiveTheSameGradientsBitForBit) {
  for (const DecoderKind kind : {DecoderKind::kLlama, DecoderKind::kPhi3}) {
    for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16}) {
      const auto model = tiny_model({.kind = kind}, compute);
      Tunable tunable(*model, region({0, 2}));
      scatter(tunable);
      const at::Tensor kept = gradients_of(tunable, samples(), ActivationCheckpointing::kNone);
      EXPECT_GT(kept.norm().item<double>(), 0.0);
      EXPECT_TRUE(at::equal(kept, gradients_of(tunable, samples(), ActivationCheckpointing::kMlp)));
      EXPECT_TRUE(at::equal(kept, gradients_of(tunable, samples(), ActivationCheckpointing::kLayer)));
    }
  }
}

TEST(TrainPass, DropoutFollowsTheSampleWhateverItIsPackedWith) {
  const auto model = tiny_model();
  TuneOptions options = region({1});
  options.lora.dropout = 0.3;
  Tunable tunable(*model, options);
  scatter(tunable);
  const at::Tensor together = gradients_of(tunable, samples(), ActivationCheckpointing::kNone);
  at::Tensor alone = at::zeros_like(together);
  for (const Sample& sample : samples()) alone += gradients_of(tunable, {sample}, ActivationCheckpointing::kNone);
  EXPECT_LT(relative_difference(alone, together), 1e-5);
  EXPECT_FALSE(at::equal(together, gradients_of(tunable, samples(), ActivationCheckpointing::kNone, /*step=*/8)));
  EXPECT_TRUE(at::equal(together, gradients_of(tunable, samples(), ActivationCheckpointing::kLayer)));
}

// The slope of a pass's loss, everything off its start.
void expect_slopes(Tunable& tunable, const PackedBatch& packed) {
  scatter(tunable);
  TrainPass pass(tunable, ActivationCheckpointing::kNone);
  expect_gradients_are_slopes(tunable,
                              [&] { return pass.run(packed, 1.0, 0).nll.to(at::kDouble).sum().item<double>(); });
}

TEST(TrainPass, GradientsAreTheSlopeOfTheLoss) {
  const auto model = tiny_model();
  TuneOptions options = region({0, 1, 2});
  options.lora.dropout = 0.2;
  options.tune_vision_tower = true;
  Tunable tunable(*model, options);
  PackedBatch packed = pack(samples());
  packed.image_features.reset();
  at::Generator generator = at::detail::createCPUGenerator(5);
  packed.pixels = at::empty({3, 3, 28, 28}).normal_(0.0, 1.0, generator);
  expect_slopes(tunable, packed);
}

// The first layer answers for pictures alone, the last one asks for targets alone: whatever else is trained there.
TEST(TrainPass, GradientsAreTheSlopeOfTheLossAtBothEndsOfTheDecoder) {
  for (const DecoderKind kind : {DecoderKind::kLlama, DecoderKind::kPhi3}) {
    for (const std::int64_t layers : {1, 2}) {
      for (const TuneKind tune : {TuneKind::kLora, TuneKind::kFull}) {
        SCOPED_TRACE(testing::Message() << layers << " layers, " << (kind == DecoderKind::kPhi3 ? "Phi-3" : "Llama")
                                        << (tune == TuneKind::kFull ? ", full" : ", LoRA"));
        const auto model = tiny_model({.kind = kind, .layers = layers});
        TuneOptions options = region(LayerSet::all(layers).numbers(), TuneKind::kLora, layers);
        options.kind = tune;
        options.lora.dropout = 0.2;
        Tunable tunable(*model, options);
        expect_slopes(tunable, pack(samples()));
      }
    }
  }
}

// Nothing below the decoder is read where a stream has no picture, and its projector is left as it is.
TEST(TrainPass, TextAloneLeavesTheProjectorWithoutAGradient) {
  std::vector<Sample> text = samples();
  for (Sample& sample : text) {
    sample.images.clear();
    const auto slot = std::find(sample.input_ids.begin(), sample.input_ids.end(), kImageToken);
    sample.labels.erase(sample.labels.begin() + (slot - sample.input_ids.begin()));
    sample.input_ids.erase(slot);
  }
  const auto model = tiny_model();
  Tunable tunable(*model, region({0, 2}));
  scatter(tunable);
  gradients_of(tunable, text, ActivationCheckpointing::kNone);
  for (const auto& parameter : tunable.parameters().all()) {
    EXPECT_EQ(parameter->gradient.norm().item<double>() > 0.0, !parameter->name.starts_with("projector."))
        << parameter->name;
  }
}

TEST(TrainPass, NothingFrozenChangesAndNothingOutsideTheRegionIsTrained) {
  const auto model = tiny_model();
  const auto before = tiny_model();
  Tunable tunable(*model, region({1}));
  for (int step = 0; step < 3; ++step) {
    const at::Tensor gradients = gradients_of(tunable, samples(), ActivationCheckpointing::kNone, step);
    at::Tensor values = tunable.parameters().values();
    values.sub_(gradients);
    tunable.parameters().refresh();
  }
  for (const auto& parameter : tunable.parameters().all()) {
    EXPECT_TRUE(parameter->name.starts_with("model.layers.1.") || parameter->name.starts_with("projector."))
        << parameter->name;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& got = model->decoder().layers()[i].linears();
    const auto& want = before->decoder().layers()[i].linears();
    for (std::size_t l = 0; l < got.size(); ++l) {
      EXPECT_TRUE(at::equal(got[l].second->matrix().weight(), want[l].second->matrix().weight())) << got[l].first;
      EXPECT_EQ(dynamic_cast<const LoraLinear*>(got[l].second.get()) != nullptr, i == 1) << got[l].first;
    }
    EXPECT_TRUE(at::equal(model->decoder().layers()[i].input_norm().value(),
                          before->decoder().layers()[i].input_norm().value()));
  }
  EXPECT_TRUE(at::equal(model->decoder().embedding().value(), before->decoder().embedding().value()));
  for (const auto& [name, value] : before->tower()->weights()) {
    EXPECT_TRUE(at::equal(model->tower()->weights().at(name), value)) << name;
  }
}

TEST(TrainPass, ATrainedTowerComputesWithItsParameters) {
  const auto model = tiny_model();
  const at::Tensor pixels = at::ones({1, 3, 28, 28});
  const at::Tensor before = model->vision_features(pixels);
  TuneOptions options = region({1});
  options.tune_vision_tower = true;
  Tunable tunable(*model, options);
  EXPECT_TRUE(at::allclose(model->vision_features(pixels), before, 1e-5, 1e-6));
  scatter(tunable);
  EXPECT_FALSE(at::allclose(model->vision_features(pixels), before, 1e-3, 1e-3));
  EXPECT_ERROR(TrainPass(tunable, ActivationCheckpointing::kNone).run(pack(samples()), 1.0, 0), "give pixels");
}

TEST(TrainPass, WithAFrozenProjectorNoBackwardRunsBelowTheLowestTrainedLayer) {
  const auto model = tiny_model();
  TuneOptions options = region({2});
  options.freeze_projector = true;
  Tunable tunable(*model, options);
  EXPECT_EQ(tunable.lowest_backward_layer(), 2);
  const auto other = tiny_model();
  Tunable with_projector(*other, region({2}));
  EXPECT_EQ(with_projector.lowest_backward_layer(), 0);
  scatter(tunable);
  std::map<std::string, Parameter*> full;
  for (const auto& parameter : with_projector.parameters().all()) full[parameter->name] = parameter.get();
  for (const auto& parameter : tunable.parameters().all()) full.at(parameter->name)->value.copy_(parameter->value);
  // Only the projector's own gradient needs the rest of the way: the adapters' are the same bits without it.
  gradients_of(tunable, samples(), ActivationCheckpointing::kNone);
  gradients_of(with_projector, samples(), ActivationCheckpointing::kNone);
  for (const auto& parameter : tunable.parameters().all()) {
    EXPECT_GT(parameter->gradient.norm().item<double>(), 0.0) << parameter->name;
    EXPECT_TRUE(at::equal(parameter->gradient, full.at(parameter->name)->gradient)) << parameter->name;
  }
}

TEST(TrainPass, AStreamWithoutTargetsChangesNothing) {
  const auto model = tiny_model();
  Tunable tunable(*model, region({1}));
  Sample sample = tiny_sample(0, 5);
  sample.labels.assign(sample.labels.size(), kIgnoreLabel);
  const PassResult result =
      TrainPass(tunable, ActivationCheckpointing::kNone).run(pack(std::vector<Sample>{sample}), 1.0, 0);
  EXPECT_EQ(result.nll.numel(), 0);
  EXPECT_EQ(tunable.parameters().gradients().abs().max().item<double>(), 0.0);
}

TEST(Tunable, WhatCannotBeTrainedIsRefused) {
  const auto refused = [](const TuneOptions& options, std::string_view message) {
    const auto model = tiny_model();
    try {
      Tunable tunable(*model, options);
      ADD_FAILURE() << "accepted: " << message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
      EXPECT_FALSE(error.hint().empty());
    }
  };
  refused(region({3}, TuneKind::kLora, 4), "the region is for a decoder of 4 layers, but this decoder has 3");
  TuneOptions options = region({1});
  options.lora.targets = {"q_prj"};
  refused(options, "no linear of the decoder's layers is called q_prj");
  options = region({1});
  options.lora.rank = 0;
  refused(options, "the LoRA rank 0 is less than 1");
  options = region({});
  options.freeze_projector = true;
  refused(options, "nothing to train");
  options.stage = Stage::kAlign;
  refused(options, "trains nothing");
}

TEST(Tunable, TheSameSeedDrawsTheSameAdapters) {
  const auto values = [](std::uint64_t seed) {
    const auto model = tiny_model();
    TuneOptions options = region({0, 2});
    options.seed = seed;
    return Tunable(*model, options).parameters().values().clone();
  };
  EXPECT_TRUE(at::equal(values(1), values(1)));
  EXPECT_FALSE(at::equal(values(1), values(2)));
}

}  // namespace
}  // namespace striate::test
