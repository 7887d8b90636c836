// A model of parts becomes one folder in the layout of LLaVA's or Bunny's own code. That transformers opens its tower:
// tests/peers/test_saved_by_transformers.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/edit/logits_check.h"
#include "striate/edit/model_folder.h"
#include "striate/model/picture_settings.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Contains;
using testing::Each;
using Tensors = std::vector<std::pair<std::string, at::Tensor>>;

class PartsFolder : public testing::TestWithParam<const char*> {
 protected:
  PartsFolder() {
    make_checkpoint(path("whole"), {.arch = GetParam(), .layout = Layout::kOriginal});
    make_checkpoint(path("llm"), {.arch = "llama-2-7b", .seed = 9});
    json config = read_json_file(path("llm") / "config.json");
    config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 2.0}};
    config["auto_map"] = {{"AutoConfig", "somewhere.Else"}};
    write(path("llm") / "config.json", config);
    write(path("llm") / "generation_config.json", {{"eos_token_id", {7, 8}}, {"top_p", 0.5}});
    take_apart();
  }

  fs::path path(const std::string& name) const { return home_.path() / name; }
  static void write(const fs::path& file, const json& contents) { write_file(file, contents.dump()); }

  // The tower, with a pooling head that its class looks for, and the projector of the whole model.
  void take_apart() {
    const Checkpoint whole = open_small(path("whole"));
    tower_ = whole.config.vision_tower_name;
    Tensors tower, projector;
    for (const auto& [name, entry] : whole.weights.entries()) {
      const at::Tensor value = entry.file->load(entry.info->name).clone();
      if (name.starts_with("vision.")) tower.emplace_back("vision_model." + name.substr(7), value);
      if (name.starts_with("projector.")) projector.emplace_back("model.mm_" + name, value);
    }
    tower.emplace_back("vision_model.head.probe", tower.front().second);
    fs::create_directories(path("tower"));
    write_safetensors(path("tower") / "model.safetensors", tower);
    write_safetensors(path("mm_projector.safetensors"), projector);
    fs::copy_file(path("whole") / tower_ / "config.json", path("tower") / "config.json");
    json processor = read_json_file(path("whole") / tower_ / "preprocessor_config.json");
    processor["image_mean"] = {0.1, 0.2, 0.3};
    write(path("tower") / "preprocessor_config.json", processor);
  }
  Checkpoint parts() const {
    ModelPaths paths;
    paths.llm = path("llm");
    paths.vision_tower = path("tower");
    paths.projector = path("mm_projector.safetensors");
    return open_checkpoint(paths);
  }
  bool siglip() const { return std::string(GetParam()).starts_with("bunny"); }

  TemporaryFolder home_;
  std::string tower_;
};

TEST_P(PartsFolder, SaysWhoseLayoutItIs) {
  write_model_folder(path("out"), parts(), {});
  const json config = read_json_file(path("out") / "config.json");
  EXPECT_EQ(config["model_type"], siglip() ? "bunny-llama" : "llava_llama");
  EXPECT_EQ(config["architectures"], json({siglip() ? "BunnyLlamaForCausalLM" : "LlavaLlamaForCausalLM"}));
  EXPECT_EQ(config["mm_vision_tower"], siglip() ? "vision_tower_siglip" : "vision_tower_clip");
  EXPECT_EQ(config["mm_projector_type"], "mlp2x_gelu");
  EXPECT_EQ(config["image_aspect_ratio"], "pad");
  EXPECT_FALSE(config.contains("auto_map")) << "code of the language model alone";
}

TEST_P(PartsFolder, TheDecoderKeepsItsSettingsAndItsEnds) {
  write_model_folder(path("out"), parts(), {});
  const ModelConfig written = read_model_config(path("out"));
  EXPECT_EQ(written.decoder.rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(written.generation_eos_ids, (std::vector<std::int64_t>{7, 8}));
  EXPECT_EQ(read_json_file(path("out") / "generation_config.json")["top_p"], 0.5);
}

TEST_P(PartsFolder, TheTowerHasAFolderOfItsOwnWithItsNamesAndItsProcessor) {
  const Checkpoint source = parts();
  write_model_folder(path("out"), source, {});
  const ModelConfig written = read_model_config(path("out"));
  const fs::path tower = path("out") / written.vision_tower_name;
  EXPECT_EQ(tensor_names(tower), tensor_names(path("tower")));
  EXPECT_THAT(tensor_names(tower), Contains("vision_model.head.probe"));
  EXPECT_THAT(tensor_names(path("out")), Each(testing::Not(testing::HasSubstr("vision"))));
  EXPECT_FLOAT_EQ(preprocess_config(source.config, source.folder).mean[0], 0.1F);
  EXPECT_FLOAT_EQ(preprocess_config(written, path("out")).mean[0], 0.1F);
}

TEST_P(PartsFolder, GivesThePartsLogitsAlsoWithoutSomeLayers) {
  const Checkpoint source = parts();
  const auto inputs = probe_inputs(source.config);
  write_model_folder(path("out"), source, {});
  const auto live = probe_logits(source, inputs);
  EXPECT_LE(compare_logits(inputs, live, probe_logits(open_small(path("out")), inputs)).relative(), 1e-5);
  ModelChange change;
  change.keep = LayerSet(5, {0, 2, 4});
  write_model_folder(path("pruned"), source, change);
  const Lvlm kept = load_model(source, Placement{at::kCPU, Compute::kFloat32})->without_layers(LayerSet(5, {1, 3}));
  const auto pruned = probe_logits(open_small(path("pruned")), inputs);
  EXPECT_LE(compare_logits(inputs, probe_logits(kept, inputs), pruned).relative(), 1e-5);
}

// Whether the folder it came from has other settings for its own tower, or none.
TEST_P(PartsFolder, AWholeModelKeepsThePictureSettingsOfTheTowerThatIsGivenWithIt) {
  for (const std::string out : {"beside-others", "alone"}) {
    if (out == "alone") fs::remove(path("whole") / tower_ / "preprocessor_config.json");
    ModelPaths paths;
    paths.model = path("whole");
    paths.vision_tower = path("tower");
    const Checkpoint source = open_checkpoint(paths);
    ASSERT_FLOAT_EQ(preprocess_config(source.config, source.folder).mean[0], 0.1F);
    write_model_folder(path(out), source, {});
    EXPECT_FLOAT_EQ(preprocess_config(read_model_config(path(out)), path(out)).mean[0], 0.1F) << out;
  }
}

TEST_P(PartsFolder, ATowerThatIsGivenWithoutPictureSettingsHasThoseOfTheModelsOwnWhereverItIsWritten) {
  fs::remove(path("tower") / "preprocessor_config.json");
  json processor = read_json_file(path("whole") / tower_ / "preprocessor_config.json");
  processor["image_mean"] = {0.4, 0.2, 0.3};
  write(path("whole") / tower_ / "preprocessor_config.json", processor);
  ModelPaths paths;
  paths.model = path("whole");
  paths.vision_tower = path("tower");
  const Checkpoint source = open_checkpoint(paths);
  EXPECT_FLOAT_EQ(preprocess_config(source.config, source.folder).mean[0], 0.4F);
  write_model_folder(path("out"), source, {});
  EXPECT_FLOAT_EQ(preprocess_config(read_model_config(path("out")), path("out")).mean[0], 0.4F);
}

TEST_P(PartsFolder, AProjectorInTheCurrentFolderIsNamedWithoutAPath) {
  const fs::path before = fs::current_path();
  fs::current_path(home_.path());
  ModelPaths paths;
  paths.llm = "llm";
  paths.vision_tower = "tower";
  paths.projector = "mm_projector.safetensors";
  write_model_folder(path("out"), open_checkpoint(paths), {});
  fs::current_path(before);
  EXPECT_EQ(read_model_config(path("out")).projector->depth, 2);
}

INSTANTIATE_TEST_SUITE_P(Towers, PartsFolder, testing::Values("llava-1.5-7b", "bunny-llama3-8b"), [](const auto& info) {
  return info.index == 0 ? std::string("Clip") : std::string("Siglip");
});

}  // namespace
}  // namespace striate::test
