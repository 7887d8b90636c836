// Pillow's antialiased bicubic resize, of all of the result or of a window of it.
#pragma once

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

// The window of `image` resized to `width` x `height`, bit for bit as if all of it had been resized and then cropped.
Image resize_bicubic_window(const Image& image, std::int64_t width, std::int64_t height, const ResizeWindow& window);

}  // namespace striate
