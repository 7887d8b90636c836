// A model without some of its layers.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/files/weight_file.h"
#include "striate/model/name_map.h"
#include "striate/text/conversation.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"
#include "tests/support/tiny_model.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

PackedBatch stream() {
  const std::vector<Sample> samples = {
      {.input_ids = {1, kImageToken, 5, 9, 30}, .labels = {}, .images = {tiny_image(0)}},
      {.input_ids = {1, 7, 8}, .labels = {}, .images = {}}};
  return pack(samples);
}

// The tiny model of five layers, written anew with the layers `kept` alone, and opened.
std::unique_ptr<Lvlm> written_with(const std::vector<std::int64_t>& kept, const TinyModelOptions& options) {
  const TemporaryFolder folder;
  write_tiny_weights(folder.path() / "whole.safetensors", options);
  const auto whole = open_safetensors(folder.path() / "whole.safetensors");
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const TensorInfo& info : whole->tensors()) {
    if (info.name.find(".layers.") == std::string::npos || info.name.find("vision") != std::string::npos) {
      tensors.emplace_back(info.name, whole->load(info.name).clone());
    }
  }
  for (std::size_t to = 0; to < kept.size(); ++to) {
    const std::string from = "model.layers." + std::to_string(kept[to]) + ".";
    for (const TensorInfo& info : whole->tensors()) {
      if (!info.name.starts_with(from)) continue;
      tensors.emplace_back("model.layers." + std::to_string(to) + "." + info.name.substr(from.size()),
                           whole->load(info.name).clone());
    }
  }
  write_safetensors(folder.path() / "pruned.safetensors", tensors);
  WeightSource weights;
  weights.add(open_safetensors(folder.path() / "pruned.safetensors"));
  TinyModelOptions smaller = options;
  smaller.layers = static_cast<std::int64_t>(kept.size());
  return std::make_unique<Lvlm>(tiny_config(smaller), weights, exact_placement());
}

TEST(WithoutLayers, ComputesWhatAModelWrittenWithoutThemComputes) {
  for (const DecoderKind kind : {DecoderKind::kLlama, DecoderKind::kPhi3}) {
    const TinyModelOptions options{.kind = kind, .layers = 5};
    const auto whole = tiny_model(options);
    const at::Tensor before = whole->forward(stream());
    const Lvlm pruned = whole->without_layers(LayerSet(5, {1, 3}));
    EXPECT_EQ(pruned.config().decoder.layers, 3);
    EXPECT_EQ(pruned.decoder().config().layers, 3);
    EXPECT_EQ(pruned.decoder().layers().size(), 3U);
    EXPECT_TRUE(at::equal(pruned.forward(stream()), written_with({0, 2, 4}, options)->forward(stream())));
    // The whole model is as it was.
    EXPECT_EQ(whole->config().decoder.layers, 5);
    EXPECT_TRUE(at::equal(whole->forward(stream()), before));
  }
}

// Attention is told new numbers: a key-value cache has room for the layers there are.
TEST(WithoutLayers, AttentionSeesNewNumbers) {
  class Numbers final : public StreamAttention {
   public:
    using StreamAttention::StreamAttention;
    at::Tensor attend(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) override {
      seen.push_back(layer);
      return StreamAttention::attend(layer, q, k, v);
    }
    std::vector<std::int64_t> seen;
  };
  const PackedBatch batch = stream();
  Numbers numbers(batch.cu_seqlens, std::nullopt);
  tiny_model({.layers = 5})->without_layers(LayerSet(5, {0, 3})).forward(batch, numbers);
  EXPECT_EQ(numbers.seen, (std::vector<std::int64_t>{0, 1, 2}));
}

TEST(WithoutLayers, SharesTheWeightsOfTheLayersThatStay) {
  const auto whole = tiny_model({.layers = 3});
  const Lvlm pruned = whole->without_layers(LayerSet(3, {0}));
  EXPECT_EQ(pruned.decoder().layers()[0].linears()[0].second, whole->decoder().layers()[1].linears()[0].second);
  EXPECT_TRUE(at::equal(whole->without_layers(LayerSet(3, {})).forward(stream()), whole->forward(stream())));
}

TEST(WithoutLayers, RefusesLayersOfAnotherDecoderAndAllOfThem) {
  const auto whole = tiny_model({.layers = 2});
  EXPECT_ERROR(whole->without_layers(LayerSet(3, {0})), "of a decoder of 3");
  EXPECT_ERROR(whole->without_layers(LayerSet::all(2)), "a decoder without layers");
}

}  // namespace
}  // namespace striate::test
