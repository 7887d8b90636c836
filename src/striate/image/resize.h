// Pillow's antialiased bicubic resize, of all of the result or of a window of it.
#pragma once

#include <array>
#include <cstdint>

#include "striate/image/image.h"

namespace striate {

// A rectangle of the resized picture: what lies outside is never computed.
struct ResizeWindow {
  std::int64_t left = 0;
  std::int64_t top = 0;
  int width = 0;
  int height = 0;
};

// A picture laid on a larger area of one colour. The area is never built: what lies beside the picture is made up while
// it is read, so that a long picture padded to a square costs no more memory than the picture.
struct Canvas {
  const Image& image;
  int width = 0;  // of the area, at least the picture's
  int height = 0;
  int left = 0;  // where the picture begins
  int top = 0;
  std::array<std::uint8_t, 3> colour{};  // of the rest

  // The picture alone.
  static Canvas of(const Image& image) { return {image, image.width, image.height}; }
};

// `image` in the middle of a square whose side is its longer side, as LLaVA's expand2square: where the difference is
// odd, the odd pixel goes to the right or to the bottom. Throws Unsupported for a side of more than 26,754 pixels.
Canvas padded_to_square(const Image& image, const std::array<std::uint8_t, 3>& colour);

// The window of `canvas` resized to `width` x `height`, bit for bit as if the area had been built, all of it resized,
// and the result cropped. Throws InvalidInput where a size is below 1.
Image resize_bicubic_window(const Canvas& canvas, std::int64_t width, std::int64_t height, const ResizeWindow& window);

// The window of `image` resized to `width` x `height`, bit for bit as if all of it had been resized and then cropped.
Image resize_bicubic_window(const Image& image, std::int64_t width, std::int64_t height, const ResizeWindow& window);

}  // namespace striate
