#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "striate/base/files.h"
#include "striate/image/resize.h"
#include "tests/image/samples.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Image noise(int width, int height) {
  Image image{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height * 3)};
  std::mt19937 random(7);
  for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>(random());
  return image;
}

TEST(Resize, AWindowEqualsTheCropOfTheWhole) {
  const Image image = noise(70, 40);
  const Image whole = resize_bicubic(image, 33, 90);
  const Image window = resize_bicubic_window(image, 33, 90, {5, 17, 20, 31});
  for (int y = 0; y < window.height; ++y) {
    for (int x = 0; x < window.width * 3; ++x) {
      ASSERT_EQ(window.rgb[y * window.width * 3 + x], whole.rgb[(y + 17) * whole.width * 3 + 5 * 3 + x]);
    }
  }
}

TEST(Resize, TheSameSizeIsTheSamePicture) {
  const Image image = noise(19, 23);
  EXPECT_EQ(resize_bicubic(image, 19, 23).rgb, image.rgb);
  EXPECT_EQ(resize_bicubic_window(image, 19, 23, {0, 0, 19, 23}).rgb, image.rgb);
}

TEST(Resize, OneColourStaysOneColour) {
  const Image image{50, 3, std::vector<std::uint8_t>(450, 201)};
  for (const auto& [width, height] : {std::pair{7, 9}, std::pair{336, 336}, std::pair{1, 1}, std::pair{50, 400}}) {
    EXPECT_THAT(resize_bicubic(image, width, height).rgb, testing::Each(201));
  }
}

TEST(Resize, NoPixelsAreInvalid) {
  EXPECT_ERROR(resize_bicubic(noise(3, 3), 0, 5), "both must have pixels");
  EXPECT_ERROR(resize_bicubic(Image{}, 5, 5), "both must have pixels");
}

// What a canvas stands for, built.
Image built(const Canvas& canvas) {
  Image out{canvas.width, canvas.height, {}};
  for (int i = 0; i < canvas.width * canvas.height; ++i) {
    const int x = i % canvas.width - canvas.left;
    const int y = i / canvas.width - canvas.top;
    const bool inside = x >= 0 && x < canvas.image.width && y >= 0 && y < canvas.image.height;
    const std::uint8_t* pixel =
        inside ? canvas.image.rgb.data() + (static_cast<std::size_t>(y) * canvas.image.width + x) * 3
               : canvas.colour.data();
    out.rgb.insert(out.rgb.end(), pixel, pixel + 3);
  }
  return out;
}

TEST(Pad, ThePictureIsCentredAndTheOddPixelGoesRightOrBelow) {
  const Image tall{1, 4, {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}};
  const Image padded = resize_bicubic_window(padded_to_square(tall, {9, 9, 9}), 4, 4, {0, 0, 4, 4});
  EXPECT_THAT(std::vector<int>(padded.rgb.begin(), padded.rgb.begin() + 12),
              ElementsAre(9, 9, 9, 1, 1, 1, 9, 9, 9, 9, 9, 9));
  const Image wide{2, 1, {5, 5, 5, 6, 6, 6}};
  EXPECT_THAT(resize_bicubic_window(padded_to_square(wide, {9, 9, 9}), 2, 2, {0, 0, 2, 2}).rgb,
              ElementsAre(5, 5, 5, 6, 6, 6, 9, 9, 9, 9, 9, 9));
}

TEST(Pad, AMadeUpBorderIsResizedAsABuiltOne) {
  for (const auto& [width, height] : {std::pair{7, 90}, {90, 7}, {61, 64}, {1, 33}, {33, 1}, {40, 40}}) {
    const Image image = noise(width, height);
    const Canvas canvas = padded_to_square(image, {122, 116, 104});
    const Image square = built(canvas);
    for (const int side : {28, 64, 111}) {
      const ResizeWindow window{side / 5, side / 7, side / 2, side / 3};
      EXPECT_EQ(resize_bicubic_window(canvas, side, side, window).rgb,
                resize_bicubic_window(square, side, side, window).rgb)
          << width << "x" << height << " to " << side;
    }
  }
}

TEST(Pad, AVeryLongPictureIsRefusedInsteadOfPadded) {
  const Image strip{65000, 1, std::vector<std::uint8_t>(65000 * 3)};
  EXPECT_ERROR(fit_image(strip, PreprocessConfig::clip()), "too long to be padded");
}

TEST(Fit, AVeryLongPictureIsCroppedWithoutBuildingWhatIsCutOff) {
  PreprocessConfig config = PreprocessConfig::clip();
  config.pad_to_square = false;
  Image strip{65000, 1, std::vector<std::uint8_t>(65000 * 3, 77)};
  EXPECT_THAT(fit_image(strip, config).rgb, testing::Each(77));  // all of it would be 22 million pixels wide
}

// from_file() on a file of that text.
PreprocessConfig parsed(const std::string& text) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "preprocessor_config.json";
  write_file(path, text);
  return PreprocessConfig::from_file(path);
}

void expect_parse_error(const std::string& text, ErrorKind kind, const std::string& says) {
  try {
    parsed(text);
    FAIL() << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(says));
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(PreprocessorConfig, ClipAsPublishedInBothSpellings) {
  const std::string common = R"("do_center_crop": true, "do_normalize": true, "do_resize": true, "resample": 3,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711])";
  for (const std::string& text :
       {"{" + common + R"(, "feature_extractor_type": "CLIPFeatureExtractor", "size": 336, "crop_size": 336})",
        "{" + common + R"(, "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 336},
           "crop_size": {"height": 336, "width": 336}, "rescale_factor": 0.00392156862745098})"}) {
    const PreprocessConfig config = parsed(text);
    EXPECT_EQ(config.size, 336);
    EXPECT_EQ(config.resize, ResizeMode::kShortestEdge);
    EXPECT_EQ(config.mean, PreprocessConfig::clip().mean);
    EXPECT_EQ(config.std, PreprocessConfig::clip().std);
  }
}

TEST(PreprocessorConfig, SiglipAsPublished) {
  const PreprocessConfig config = parsed(R"({"do_rescale": true, "do_normalize": true, "do_resize": true,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_processor_type": "SiglipImageProcessor",
    "processor_class": "SiglipProcessor", "resample": 3, "rescale_factor": 0.00392156862745098,
    "size": {"height": 384, "width": 384}})");
  EXPECT_EQ(config.size, 384);
  EXPECT_EQ(config.resize, ResizeMode::kExact);
  EXPECT_EQ(config.mean, PreprocessConfig::siglip().mean);
}

TEST(PreprocessorConfig, OmittedKeysHaveHuggingFacesDefaults) {
  EXPECT_EQ(parsed("{}").size, 224);
  EXPECT_EQ(parsed("{}").resize, ResizeMode::kShortestEdge);
  EXPECT_EQ(parsed(R"({"image_processor_type": "SiglipImageProcessor"})").resize, ResizeMode::kExact);
  const PreprocessConfig plain = parsed(R"({"do_normalize": false})");
  EXPECT_THAT(plain.mean, testing::Each(0.0F));
  EXPECT_THAT(plain.std, testing::Each(1.0F));
}

TEST(PreprocessorConfig, WhatIsNotBuiltIsUnsupportedNamingTheKey) {
  expect_parse_error(R"({"resample": 2})", ErrorKind::kUnsupported, "\"resample\"");
  expect_parse_error(R"({"do_resize": false})", ErrorKind::kUnsupported, "\"do_resize\"");
  expect_parse_error(R"({"do_center_crop": false})", ErrorKind::kUnsupported, "\"do_center_crop\"");
  expect_parse_error(R"({"rescale_factor": 0.5})", ErrorKind::kUnsupported, "\"rescale_factor\"");
  expect_parse_error(R"({"size": 336, "crop_size": 224})", ErrorKind::kUnsupported, "\"crop_size\"");
  expect_parse_error(R"({"size": {"height": 384, "width": 200}})", ErrorKind::kUnsupported, "\"size\"");
}

TEST(PreprocessorConfig, ADamagedFileIsCorruptNamingTheKey) {
  expect_parse_error("{", ErrorKind::kCorruptData, "not valid JSON: it ends too soon");
  expect_parse_error("[1]", ErrorKind::kCorruptData, "not a JSON object");
  expect_parse_error("", ErrorKind::kCorruptData, "empty, not JSON");
  expect_parse_error(R"({"size": "large"})", ErrorKind::kCorruptData, "\"size\"");
  expect_parse_error(R"({"size": -3})", ErrorKind::kCorruptData, "\"size\"");
  expect_parse_error(R"({"size": 99999999999999999999})", ErrorKind::kCorruptData, "\"size\"");
  expect_parse_error(R"({"size": {"shortest_edge": 0}})", ErrorKind::kCorruptData, "\"size\"");
  expect_parse_error(R"({"image_mean": [1, 2]})", ErrorKind::kCorruptData, "\"image_mean\"");
  expect_parse_error(R"({"image_std": [0, 1, 1]})", ErrorKind::kCorruptData, "\"image_std\"");
  expect_parse_error(R"({"do_resize": 1})", ErrorKind::kCorruptData, "\"do_resize\"");
}

}  // namespace
}  // namespace striate::test
