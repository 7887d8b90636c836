// How pictures are prepared, from every place that may say so.
#include "striate/model/picture_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/model/load.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

const json kClip = {{"image_processor_type", "CLIPImageProcessor"},
                    {"size", {{"shortest_edge", 28}}},
                    {"crop_size", {{"height", 28}, {"width", 28}}},
                    {"image_mean", {0.1, 0.2, 0.3}},
                    {"image_std", {0.4, 0.5, 0.6}}};

class PictureSettings : public testing::Test {
 protected:
  fs::path model() const { return folder_.path() / "model"; }
  void make(Layout layout = Layout::kHf) { make_checkpoint(model(), {.layout = layout, .layers = 2}); }
  void write(const std::string& name, const json& contents) { write_file(model() / name, contents.dump()); }
  void change_config(const std::string& key, const json& value) {
    json config = read_json_file(model() / "config.json");
    value.is_null() ? void(config.erase(key)) : void(config[key] = value);
    write("config.json", config);
  }
  ModelConfig config() const { return read_model_config(model()); }
  PreprocessConfig pixels() const { return preprocess_config(config(), model()); }
  bool trains_padded() const { return pads_in_training(config(), model()); }

  TemporaryFolder folder_;
};

TEST_F(PictureSettings, WhatProcessorConfigSaysIsFollowedAsInTheFileOfItsOwn) {
  make();
  write("preprocessor_config.json", kClip);
  const PreprocessConfig alone = pixels();
  fs::remove(model() / "preprocessor_config.json");
  write("processor_config.json", {{"processor_class", "LlavaProcessor"}, {"image_processor", kClip}});
  const PreprocessConfig nested = pixels();
  EXPECT_EQ(nested.mean, alone.mean);
  EXPECT_EQ(nested.std, alone.std);
  EXPECT_FALSE(alone.pad_to_square);
  EXPECT_FALSE(nested.pad_to_square);
}

TEST_F(PictureSettings, ProcessorConfigStandsBeforePreprocessorConfig) {
  make();
  json other = kClip;
  other["do_pad"] = true;
  other["image_mean"] = {0.9, 0.9, 0.9};
  write("preprocessor_config.json", kClip);
  write("processor_config.json", {{"image_processor", other}});
  EXPECT_TRUE(pixels().pad_to_square);
  EXPECT_FLOAT_EQ(pixels().mean[0], 0.9F);
}

TEST_F(PictureSettings, WhatProcessorConfigSaysThatIsNotBuiltIsRefusedWithItsPlace) {
  make();
  for (const auto& [key, value] : {std::pair("do_resize", json(false)), std::pair("resample", json(2)),
                                   std::pair("crop_size", json({{"height", 14}, {"width", 14}})),
                                   std::pair("image_processor_type", json("LlavaNextImageProcessor"))}) {
    json settings = kClip;
    settings[key] = value;
    write("processor_config.json", {{"image_processor", settings}});
    try {
      pixels();
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string("processor_config.json: image_processor: \"") + key + "\""));
    }
  }
}

TEST_F(PictureSettings, OfATowerThatIsGivenWithoutAnyAreThoseOfTheModelsOwnTower) {
  make(Layout::kOriginal);
  ModelConfig given = config();
  given.tower_folder = folder_.path() / "tower";
  fs::create_directories(*given.tower_folder);
  write(given.vision_tower_name + "/preprocessor_config.json", kClip);
  EXPECT_FLOAT_EQ(preprocess_config(given, model()).mean[0], 0.1F);
  json other = kClip;
  other["image_mean"] = {0.9, 0.9, 0.9};
  write_file(*given.tower_folder / "preprocessor_config.json", other.dump());
  EXPECT_FLOAT_EQ(preprocess_config(given, model()).mean[0], 0.9F) << "what it has stands first";
}

TEST_F(PictureSettings, TrainingPadsWhereTheFilesSayNothing) {
  make();
  write("preprocessor_config.json", kClip);
  EXPECT_FALSE(pixels().pad_to_square) << "transformers crops";
  EXPECT_TRUE(trains_padded());
  json told = kClip;
  told["do_pad"] = false;
  write("preprocessor_config.json", told);
  EXPECT_FALSE(trains_padded());
}

TEST_F(PictureSettings, AnOriginalModelWithoutImageAspectRatioIsTrainedPadded) {
  make(Layout::kOriginal);
  change_config("image_aspect_ratio", nullptr);
  EXPECT_FALSE(pixels().pad_to_square);
  EXPECT_TRUE(trains_padded());
  change_config("image_aspect_ratio", "square");
  EXPECT_FALSE(trains_padded());
}

TEST_F(PictureSettings, WhatIsAskedStandsBeforeEveryFile) {
  make();
  ModelConfig asked = config();
  for (const bool pad : {true, false}) {
    asked.padding_asked = pad;
    EXPECT_EQ(preprocess_config(asked, model()).pad_to_square, pad);
    EXPECT_EQ(pads_in_training(asked, model()), pad);
  }
}

TEST_F(PictureSettings, WrittenPaddingIsReadBackFromEveryLayout) {
  for (const bool pad : {true, false}) {
    make();
    write("preprocessor_config.json", kClip);
    write_padding(model(), config(), pad);
    EXPECT_EQ(pixels().pad_to_square, pad);
    EXPECT_EQ(read_json_file(model() / "preprocessor_config.json")["image_processor_type"],
              pad ? "LlavaImageProcessor" : "CLIPImageProcessor");
    fs::remove(model() / "preprocessor_config.json");
    write("processor_config.json", {{"processor_class", "LlavaProcessor"}, {"image_processor", kClip}});
    write_padding(model(), config(), pad);
    EXPECT_EQ(pixels().pad_to_square, pad);
    EXPECT_EQ(read_json_file(model() / "processor_config.json")["processor_class"], "LlavaProcessor");
    change_config("image_aspect_ratio", pad ? "square" : "pad");
    write_padding(model(), config(), pad);
    EXPECT_EQ(pixels().pad_to_square, pad);
    fs::remove_all(model());
    make(Layout::kOriginal);
    write_padding(model(), config(), pad);
    EXPECT_EQ(pixels().pad_to_square, pad);
    EXPECT_EQ(read_json_file(model() / "config.json")["image_aspect_ratio"], pad ? "pad" : "square");
    fs::remove_all(model());
  }
}

TEST_F(PictureSettings, ASiglipProcessorKeepsItsWayWhenItBecomesLlavas) {
  make();
  const json siglip = {{"image_processor_type", "SiglipImageProcessor"}, {"size", {{"height", 28}, {"width", 28}}}};
  write("preprocessor_config.json", siglip);
  const PreprocessConfig before = pixels();
  write_padding(model(), config(), true);
  const PreprocessConfig after = pixels();
  EXPECT_EQ(after.resize, before.resize);
  EXPECT_EQ(after.mean, before.mean);
  EXPECT_EQ(after.std, before.std);
  EXPECT_TRUE(after.pad_to_square);
}

TEST_F(PictureSettings, WhatTrainingUsedIsFollowedByWhoeverOpensTheAdapterOrTheProjector) {
  make();
  write("preprocessor_config.json", kClip);
  make_adapter(folder_.path() / "tuned", open_small(model()), {0});
  for (const char* aspect : {"pad", "crop"}) {
    write_file(folder_.path() / "tuned/striate.json", json{{"image_aspect", aspect}}.dump());
    ModelPaths paths;
    paths.model = model();
    EXPECT_EQ(open_checkpoint(paths).config.padding_asked, std::nullopt);
    paths.adapter = folder_.path() / "tuned";
    EXPECT_EQ(open_checkpoint(paths).config.padding_asked, aspect == std::string("pad"));
    paths.adapter.reset();
    paths.projector = folder_.path() / "tuned";
    EXPECT_EQ(open_checkpoint(paths).config.padding_asked, aspect == std::string("pad"));
    paths.pad_to_square = false;
    EXPECT_EQ(open_checkpoint(paths).config.padding_asked, false);
  }
  write_file(folder_.path() / "tuned/striate.json", R"({"image_aspect": "stretch"})");
  EXPECT_ERROR(recorded_padding(folder_.path() / "tuned"), "image_aspect");
}

}  // namespace
}  // namespace striate::test
