// From a decoded picture to the vision tower's input, as LLaVA and the Hugging Face processors make it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "striate/image/image.h"
#include "striate/image/resize.h"

namespace striate {
namespace {

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

Image shortest_edge_and_crop(const Canvas& canvas, int size) {
  const bool tall = canvas.height >= canvas.width;
  const std::int64_t width = tall ? size : long_side(size, canvas.width, canvas.height);
  const std::int64_t height = tall ? long_side(size, canvas.height, canvas.width) : size;
  return resize_bicubic_window(canvas, width, height, {(width - size) / 2, (height - size) / 2, size, size});
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

Image fit_image(const Image& image, const PreprocessConfig& config) {
  const Canvas canvas = config.pad_to_square ? padded_to_square(image, mean_colour(config)) : Canvas::of(image);
  if (config.resize == ResizeMode::kShortestEdge) return shortest_edge_and_crop(canvas, config.size);
  return resize_bicubic_window(canvas, config.size, config.size, {0, 0, config.size, config.size});
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
