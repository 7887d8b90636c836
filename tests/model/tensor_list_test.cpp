#include "striate/model/tensor_list.h"

#include <gtest/gtest.h>

#include <set>

#include "striate/model/architectures.h"
#include "striate/model/load.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

ModelPaths paths_of(const std::filesystem::path& folder) {
  ModelPaths paths;
  paths.model = folder;
  return paths;
}

std::int64_t parameters(const ModelConfig& config, std::optional<Part> part = std::nullopt) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : expected_tensors(config)) {
    if (!part || spec.part == *part) count += spec.numel();
  }
  return count;
}

ModelConfig published(const char* name) {
  return shaped_config(find_architecture(name), std::nullopt, {});
}

// The counts that the models' own pages state.
TEST(TensorList, PublishedModelsHaveTheirPublishedNumberOfParameters) {
  EXPECT_EQ(parameters(published("llama-2-7b")), 6'738'415'616);
  EXPECT_EQ(parameters(published("llama-2-13b")), 13'015'864'320);
  EXPECT_EQ(parameters(published("llama-3-8b")), 8'030'261'248);
  EXPECT_EQ(parameters(published("phi-3-mini")), 3'821'079'552);
  EXPECT_EQ(parameters(published("llava-1.5-7b")), 7'063'427'072);
  EXPECT_EQ(parameters(published("llava-1.5-7b"), Part::kVisionTower), 303'507'456);
  // SigLIP-so400m has 428,225,600; its pooling head, of 15,238,352, is not used.
  EXPECT_EQ(parameters(published("bunny-phi3-mini"), Part::kVisionTower), 428'225'600 - 15'238'352);
}

class GoldenTensors : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenTensors, AreExactlyTheExpectedOnes) {
  const Checkpoint checkpoint = open_checkpoint(paths_of(GetParam()));
  std::set<std::string> expected;
  for (const TensorSpec& spec : expected_tensors(checkpoint.config)) {
    const auto* entry = checkpoint.weights.find(spec.name);
    ASSERT_NE(entry, nullptr) << spec.name;
    EXPECT_EQ(entry->info->shape, spec.shape) << spec.name;
    EXPECT_TRUE(expected.insert(spec.name).second) << spec.name << " is listed twice";
  }
  for (const auto& [name, entry] : checkpoint.weights.entries()) EXPECT_TRUE(expected.contains(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(Of, GoldenTensors, testing::ValuesIn(test::golden_models()),
                         [](const auto& info) { return info.param.parent_path().filename().string(); });

TEST(TensorList, ATiedHeadIsNoTensorOfItsOwn) {
  ModelConfig config = published("llama-2-7b");
  const std::int64_t apart = parameters(config);
  config.decoder.tie_embeddings = true;
  EXPECT_EQ(parameters(config), apart - 32000 * 4096);
  for (const TensorSpec& spec : expected_tensors(config)) EXPECT_NE(spec.name, "lm_head.weight");
}

TEST(TensorList, LayersAndPartsAreTold) {
  std::set<std::int64_t> decoder, vision;
  for (const TensorSpec& spec : expected_tensors(published("bunny-llama3-8b"))) {
    if (spec.part == Part::kDecoder) decoder.insert(spec.layer);
    if (spec.part == Part::kVisionTower) vision.insert(spec.layer);
    if (spec.part == Part::kProjector) {
      EXPECT_EQ(spec.layer, -1);
    }
  }
  EXPECT_EQ(decoder.size(), 33U);  // 32 layers and what is outside them, -1
  EXPECT_EQ(*decoder.rbegin(), 31);
  EXPECT_EQ(*vision.rbegin(), 26);
}

}  // namespace
}  // namespace striate
