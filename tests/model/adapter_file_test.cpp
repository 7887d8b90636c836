// What is given for use is used in full or refused: adapters, what lies beside them, projectors, folders of another
// kind.
#include "striate/model/adapter_file.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/adapter_base.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using Tensors = std::vector<std::pair<std::string, at::Tensor>>;

const std::string kModule = "base_model.model.model.layers.1.self_attn.q_proj.";

class AdapterFolder : public testing::Test {
 protected:
  AdapterFolder() {
    make_checkpoint(base(), {"llava-1.5-7b", Layout::kOriginal});
    make_adapter(adapter(), open_small(base()), {1, 3});
  }
  fs::path base() const { return home_.path() / "base"; }
  fs::path adapter() const { return home_.path() / "adapter"; }
  void settings(const json& config) const { write_file(adapter() / "adapter_config.json", config.dump()); }
  void matrices(const Tensors& tensors) const { write_safetensors(adapter() / "adapter_model.safetensors", tensors); }
  static Tensors pair(const std::string& module = kModule) {
    return {{module + "lora_A.weight", at::zeros({3, 32})}, {module + "lora_B.weight", at::zeros({32, 3})}};
  }
  // What opening and loading `paths` says.
  static std::string refusal(const ModelPaths& paths) {
    try {
      load_model(open_checkpoint(paths), Placement{at::kCPU, Compute::kFloat32});
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_FALSE(error.hint().empty());
      return cat(error.what(), " | ", error.hint());
    }
    return "no error";
  }
  std::string refusal() const {
    ModelPaths paths;
    paths.model = base();
    paths.adapter = adapter();
    return refusal(paths);
  }
  const TemporaryFolder home_;
};

TEST_F(AdapterFolder, WithoutASingleMatrixIsRefused) {
  EXPECT_EQ(refusal(), "no error");
  matrices({});
  EXPECT_THAT(refusal(), HasSubstr("the adapter has no matrices"));
}

TEST_F(AdapterFolder, BiasesOfTheMatricesAreNotTakenForMatrices) {
  Tensors tensors = pair();
  tensors.emplace_back(kModule + "lora_B.bias", at::zeros({32}));
  matrices(tensors);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("lora_B.bias"), HasSubstr("lora_bias")));
}

TEST_F(AdapterFolder, TensorsOfOtherKindsAreNamed) {
  for (const char* name : {"lora_magnitude_vector", "lora_A.one.two.weight", "lora_diag.weight", "base_layer.weight"}) {
    Tensors tensors = pair();
    tensors.emplace_back(kModule + name, at::zeros({32}));
    matrices(tensors);
    EXPECT_THAT(refusal(), HasSubstr(name));
  }
}

TEST_F(AdapterFolder, SeveralAdaptersInOneFileAreRefused) {
  Tensors tensors = pair();
  tensors.emplace_back(kModule + "lora_A.second.weight", at::zeros({3, 32}));
  matrices(tensors);
  EXPECT_THAT(refusal(), HasSubstr("are the same matrix"));
}

TEST_F(AdapterFolder, RanksFollowTheSettings) {
  matrices(pair());
  settings({{"r", 4}, {"lora_alpha", 4}});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("of rank 3"), HasSubstr("says 4")));
  settings({{"r", 4}, {"lora_alpha", 4}, {"rank_pattern", {{"layers.1.self_attn.q_proj", 3}}}});
  EXPECT_EQ(refusal(), "no error");
}

TEST_F(AdapterFolder, EachPairHasTheScaleOfItsOwnRankAndAlpha) {
  Tensors tensors = pair();
  const std::string other = "base_model.model.model.layers.2.mlp.up_proj.";
  tensors.emplace_back(other + "lora_A.weight", at::zeros({2, 32}));
  tensors.emplace_back(other + "lora_B.weight", at::zeros({48, 2}));
  matrices(tensors);
  settings({{"r", 3}, {"lora_alpha", 6}, {"rank_pattern", {{"up_proj", 2}}}, {"alpha_pattern", {{"up_proj", 5}}}});
  const AdapterFile file(adapter());
  EXPECT_EQ(file.scale(*file.find(1, "self_attn.q_proj")), 2);
  EXPECT_EQ(file.scale(*file.find(2, "mlp.up_proj")), 2.5);
}

TEST_F(AdapterFolder, TheBytesOfItsMatricesAreThoseOfAModel) {
  matrices(pair());
  const std::int64_t bytes = 4 * (3 * 32 + 32 * 3);
  EXPECT_EQ(AdapterFile(adapter()).matrix_bytes(false), bytes);
  EXPECT_EQ(AdapterFile(adapter()).matrix_bytes(true), 0) << "fp32 matrices are read where they lie";
  Tensors halves = pair();
  for (auto& [name, matrix] : halves) matrix = matrix.to(at::kBFloat16);
  matrices(halves);
  EXPECT_EQ(AdapterFile(adapter()).matrix_bytes(false), bytes) << "they are widened";
  EXPECT_EQ(AdapterFile(adapter()).matrix_bytes(true), bytes);
  matrices(pair());
  settings({{"peft_type", "LORA"}, {"r", 3}, {"lora_alpha", 6}, {"init_lora_weights", "pissa"}});
  EXPECT_EQ(AdapterFile(adapter()).matrix_bytes(true), 2 * bytes) << "the start stands beside them";
}

TEST_F(AdapterFolder, MatricesThatTheSettingsLeaveOutAreRefused) {
  matrices(pair());
  settings({{"r", 3}, {"lora_alpha", 6}, {"target_modules", {"v_proj"}}});
  EXPECT_THAT(refusal(), AllOf(HasSubstr(kModule), HasSubstr("target_modules")));
  settings({{"r", 3}, {"lora_alpha", 6}, {"layers_to_transform", {0}}});
  EXPECT_THAT(refusal(), HasSubstr("layers_to_transform"));
  settings({{"r", 3}, {"lora_alpha", 6}, {"target_modules", R"(model\.language_model\.layers\.1\.self_attn\.q_proj)"}});
  EXPECT_EQ(refusal(), "no error") << "the same linear by another transformers' name";
}

TEST_F(AdapterFolder, AStartWithoutAScaleIsRefused) {
  matrices(pair());
  settings({{"r", 3}, {"lora_alpha", 0}, {"init_lora_weights", "pissa"}});
  EXPECT_THAT(refusal(), HasSubstr("lora_alpha"));
}

TEST_F(AdapterFolder, WhatLiesBesideItIsUsedInFullOrRefused) {
  const fs::path beside = adapter() / "non_lora_trainables.safetensors";
  const at::Tensor one = at::zeros({32});
  for (const char* name : {"projector.net.0.weight", "model.mm_projector.4.weight", "model.layers.9.mlp.up_proj.weight",
                           "base_model.model.model.layers.1.self_attn.q_proj.base_layer.weight", "x"}) {
    write_safetensors(beside, {{name, one}});
    EXPECT_THAT(refusal(), AllOf(HasSubstr("non_lora_trainables.safetensors"), HasSubstr(name)));
  }
  write_safetensors(beside, {});
  EXPECT_THAT(refusal(), HasSubstr("the file has no tensors"));
  write_safetensors(beside, {{"base_model.model.model.norm.weight", one},
                             {"model.layers.0.self_attn.rotary_emb.inv_freq", at::zeros({4})}});
  EXPECT_EQ(refusal(), "no error");
}

TEST_F(AdapterFolder, AProjectorIsUsedInFullOrRefused) {
  ModelPaths paths;
  paths.model = base();
  paths.projector = home_.path() / "projector.safetensors";
  write_safetensors(*paths.projector, {{"projector.layers.0.weight", at::zeros({32, 16})}});
  EXPECT_THAT(refusal(paths), AllOf(HasSubstr("projector.safetensors"), HasSubstr("projector.layers.0.weight")));
}

TEST_F(AdapterFolder, GivenAsAModelNamesTheFlagAndItsBase) {
  ModelPaths paths;
  paths.model = adapter();
  settings({{"r", 3}, {"lora_alpha", 6}, {"base_model_name_or_path", "org/base"}});
  EXPECT_THAT(refusal(paths), AllOf(HasSubstr("the folder of an adapter"), HasSubstr("`model` org/base `adapter`")));
  fs::copy_file(base() / "config.json", adapter() / "config.json");  // as LLaVA's training leaves it
  write_file(adapter() / "striate.json", R"({"base": "/models/recorded"})");
  EXPECT_THAT(refusal(paths), AllOf(HasSubstr("the folder of an adapter"), HasSubstr("`model` /models/recorded")));
  ModelPaths parts;
  parts.llm = adapter();
  parts.vision_tower = parts.projector = base();
  EXPECT_THAT(refusal(parts), HasSubstr("the folder of an adapter"));
}

TEST_F(AdapterFolder, AProjectorsFolderGivenAsAModelNamesTheFlag) {
  ModelPaths paths;
  paths.model = home_.path() / "aligned";
  fs::create_directories(*paths.model);
  write_safetensors(*paths.model / "mm_projector.safetensors", {{"model.mm_projector.0.weight", at::zeros({32, 16})}});
  EXPECT_THAT(refusal(paths), AllOf(HasSubstr("the folder of a projector"), HasSubstr("`projector`")));
}

class RecordedBase : public AdapterFolder {
 protected:
  RecordedBase() {
    record(open_small(base()));
    make_checkpoint(home_.path() / "deeper", {"llava-1.5-7b", Layout::kOriginal, /*layers=*/7});
    make_checkpoint(home_.path() / "other", {"llava-1.5-7b", Layout::kOriginal, 5, at::kFloat, /*seed=*/6});
    make_checkpoint(home_.path() / "renamed", {"llava-1.5-7b", Layout::kHf});
    make_checkpoint(home_.path() / "rounded", {"llava-1.5-7b", Layout::kOriginal, 5, at::kBFloat16});
  }
  void record(const Checkpoint& model) const {
    ModelRecord made;
    made.set_base("/models/first");
    made.set_base_weights(base_weights(model));
    made.write(adapter());
  }
  std::string on(const std::string& model) const {
    ModelPaths paths;
    paths.model = home_.path() / model;
    paths.adapter = adapter();
    return refusal(paths);
  }
};

TEST_F(RecordedBase, IsTheOnlyModelThatAnAdapterIsUsedOn) {
  EXPECT_EQ(on("base"), "no error");
  EXPECT_THAT(on("deeper"), AllOf(HasSubstr("tuned on /models/first; had 5 layers"), HasSubstr("has 7"),
                                  HasSubstr("`model` /models/first")));
  EXPECT_THAT(on("other"), HasSubstr("same shape with other weights"));
}

TEST_F(RecordedBase, IsRecognisedInAnotherNamingAndAnotherType) {
  EXPECT_EQ(on("renamed"), "no error");
  EXPECT_EQ(on("rounded"), "no error");
}

TEST_F(RecordedBase, OfEarlierReleasesTellsTheNumberOfLayers) {
  write_file(adapter() / "striate.json", R"({"base": "/models/first", "region": {"layers": [1, 3], "of": 5}})");
  EXPECT_EQ(on("base"), "no error");
  EXPECT_EQ(on("other"), "no error");
  EXPECT_THAT(on("deeper"), HasSubstr("5 layers"));
}

TEST_F(RecordedBase, ThatIsDamagedIsNamed) {
  for (const char* text :
       {R"({"base_weights": 3})", R"({"base_weights": {"layers": "x"}})", R"([1])", R"({"base": 3, "region": {}})"}) {
    write_file(adapter() / "striate.json", text);
    EXPECT_THAT(on("base"), HasSubstr("striate.json")) << text;
  }
}

}  // namespace
}  // namespace striate::test
