// From a decoded picture to the vision tower's input, as LLaVA and the Hugging Face processors make it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/image/image.h"
#include "striate/image/resize.h"

namespace striate {
namespace {

// A square of more pixels than this (26,754 on a side) is refused rather than built.
constexpr std::uint64_t kMaxSquarePixels = 4 * DecodeLimits{}.max_pixels;

std::array<std::uint8_t, 3> mean_colour(const PreprocessConfig& config) {
  std::array<std::uint8_t, 3> colour{};
  for (std::size_t c = 0; c < 3; ++c) {
    const int value = static_cast<int>(static_cast<double>(config.mean[c]) * 255);
    colour[c] = static_cast<std::uint8_t>(std::clamp(value, 0, 255));
  }
  return colour;
}

// The long side when the short one becomes `size`: rounded down, as Python's int(size * long / short).
std::int64_t long_side(int size, int longer, int shorter) {
  return static_cast<std::int64_t>(static_cast<double>(std::int64_t{size} * longer) / shorter);
}

Image shortest_edge_and_crop(const Image& image, int size) {
  const bool tall = image.height >= image.width;
  const std::int64_t width = tall ? size : long_side(size, image.width, image.height);
  const std::int64_t height = tall ? long_side(size, image.height, image.width) : size;
  return resize_bicubic_window(image, width, height, {(width - size) / 2, (height - size) / 2, size, size});
}

Image resize_and_crop(const Image& image, const PreprocessConfig& config) {
  if (config.resize == ResizeMode::kShortestEdge) return shortest_edge_and_crop(image, config.size);
  return resize_bicubic(image, config.size, config.size);
}

}  // namespace

PreprocessConfig PreprocessConfig::clip(int size) {
  PreprocessConfig config;
  config.size = size;
  return config;
}

PreprocessConfig PreprocessConfig::siglip(int size) {
  PreprocessConfig config;
  config.size = size;
  config.resize = ResizeMode::kExact;
  config.mean = {0.5F, 0.5F, 0.5F};
  config.std = {0.5F, 0.5F, 0.5F};
  return config;
}

Image pad_to_square(const Image& image, const std::array<std::uint8_t, 3>& colour) {
  if (image.width == image.height) return image;
  const auto side = static_cast<std::size_t>(std::max(image.width, image.height));
  if (side * side > kMaxSquarePixels) {
    throw unsupported(
        cat("a picture of ", image.width, "x", image.height, " pixels is too long to be padded to a square"),
        "cut it into pieces, or make it smaller first");
  }
  Image out;
  out.width = out.height = static_cast<int>(side);
  out.rgb.resize(side * side * 3);
  for (std::size_t i = 0; i < out.rgb.size(); i += 3) std::copy(colour.begin(), colour.end(), out.rgb.begin() + i);
  const std::size_t left = (side - image.width) / 2;
  const std::size_t top = (side - image.height) / 2;
  const std::size_t row = static_cast<std::size_t>(image.width) * 3;
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
    std::copy_n(image.rgb.data() + y * row, row, out.rgb.data() + ((top + y) * side + left) * 3);
  }
  return out;
}

Image fit_image(const Image& image, const PreprocessConfig& config) {
  if (config.pad_to_square && image.width != image.height) {
    return resize_and_crop(pad_to_square(image, mean_colour(config)), config);
  }
  return resize_and_crop(image, config);
}

std::vector<float> preprocess(const Image& image, const PreprocessConfig& config) {
  const Image fitted = fit_image(image, config);
  const std::size_t pixels = fitted.rgb.size() / 3;
  std::vector<float> out(fitted.rgb.size());
  for (std::size_t c = 0; c < 3; ++c) {
    // Only 256 values go in; each is worked out as NumPy does: scaled in double, the rest in float.
    std::array<float, 256> table{};
    for (std::size_t v = 0; v < table.size(); ++v) {
      table[v] = (static_cast<float>(static_cast<double>(v) * (1.0 / 255.0)) - config.mean[c]) / config.std[c];
    }
    for (std::size_t i = 0; i < pixels; ++i) out[c * pixels + i] = table[fitted.rgb[3 * i + c]];
  }
  return out;
}

}  // namespace striate
