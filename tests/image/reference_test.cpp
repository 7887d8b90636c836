// Every picture and pipeline of the reference data, made with Pillow and the Hugging Face processors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/image/image.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using Json = nlohmann::json;

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string sha256(std::span<const std::uint8_t> bytes) {
  std::array<std::uint8_t, 32> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return hex(digest);
}

// Samples of an n x n grid, channel by channel, at int((i + 0.5) * side / n).
std::string grid(const Image& image, int n) {
  std::vector<std::uint8_t> samples;
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < n; ++y) {
      for (int x = 0; x < n; ++x) {
        const auto at_y = static_cast<std::size_t>((y + 0.5) * image.height / n);
        const auto at_x = static_cast<std::size_t>((x + 0.5) * image.width / n);
        samples.push_back(image.rgb[(at_y * image.width + at_x) * 3 + c]);
      }
    }
  }
  return hex(samples);
}

PreprocessConfig pipeline(const std::string& name) {
  PreprocessConfig config = name.starts_with("clip336") ? PreprocessConfig::clip(336) : PreprocessConfig::siglip(384);
  config.pad_to_square = name.ends_with("_pad");
  return config;
}

Json expected_images() {
  return Json::parse(read_file(test::testdata("preprocess_expected.json"))).at("images");
}

const std::array<std::string, 4> kPipelines{"clip336_pad", "clip336_nopad", "siglip384_pad", "siglip384_nopad"};

TEST(ImageReference, EveryPictureDecodesToPillowsBytes) {
  int pictures = 0;
  const Json images = expected_images();
  for (const auto& [name, expected] : images.items()) {
    SCOPED_TRACE(name);
    const Image image = load_image(test::testdata("images/" + name));
    EXPECT_EQ(image.width, expected.at("width").get<int>());
    EXPECT_EQ(image.height, expected.at("height").get<int>());
    EXPECT_EQ(grid(image, 8), expected.at("rgb_grid8_hex").get<std::string>());
    EXPECT_EQ(sha256(image.rgb), expected.at("rgb_sha256").get<std::string>());
    ++pictures;
  }
  EXPECT_GE(pictures, 1);
}

TEST(ImageReference, EveryPipelineFitsToPillowsBytes) {
  const Json images = expected_images();
  for (const auto& [name, expected] : images.items()) {
    const Image image = load_image(test::testdata("images/" + name));
    for (const std::string& kind : kPipelines) {
      SCOPED_TRACE(name + " " + kind);
      const Image fitted = fit_image(image, pipeline(kind));
      EXPECT_EQ(grid(fitted, 32), expected.at(kind).at("u8_grid_hex").get<std::string>());
      EXPECT_EQ(sha256(fitted.rgb), expected.at(kind).at("u8_sha256").get<std::string>());
    }
  }
}

TEST(ImageReference, EveryNormalisedTensorHasTheReferencesMoments) {
  constexpr double kRounding = 2e-6;  // the reference values have 6 decimals
  const Json images = expected_images();
  for (const auto& [name, expected] : images.items()) {
    const Image image = load_image(test::testdata("images/" + name));
    for (const std::string& kind : kPipelines) {
      SCOPED_TRACE(name + " " + kind);
      const PreprocessConfig config = pipeline(kind);
      const std::vector<float> tensor = preprocess(image, config);
      const std::size_t pixels = static_cast<std::size_t>(config.size) * config.size;
      ASSERT_EQ(tensor.size(), 3 * pixels);
      const Json& want = expected.at(kind);
      for (std::size_t c = 0; c < 3; ++c) {
        double sum = 0;
        double squares = 0;
        const auto channel = std::span(tensor).subspan(c * pixels, pixels);
        for (const float value : channel) {
          sum += value;
          squares += double{value} * value;
        }
        const double mean = sum / static_cast<double>(pixels);
        const auto [least, most] = std::minmax_element(channel.begin(), channel.end());
        EXPECT_NEAR(mean, want.at("mean")[c].get<double>(), kRounding);
        EXPECT_NEAR(std::sqrt(std::max(0.0, squares / static_cast<double>(pixels) - mean * mean)),
                    want.at("std")[c].get<double>(), 2e-5);
        EXPECT_NEAR(*least, want.at("min")[c].get<double>(), kRounding);
        EXPECT_NEAR(*most, want.at("max")[c].get<double>(), kRounding);
      }
      for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_NEAR(tensor[config.size / 2 * config.size + i], want.at("row_mid_first8_ch0")[i].get<double>(),
                    kRounding);
      }
    }
  }
}

}  // namespace
}  // namespace striate
