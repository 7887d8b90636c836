// One decoder per file format; for image.cpp only.
//
// Each takes the whole file, gives 8-bit RGB, checks the claimed size against the limits before it allocates, and
// throws CorruptData or Unsupported naming the picture.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "striate/base/error.h"
#include "striate/image/image.h"

namespace striate {

// What a decoder is given.
struct EncodedImage {
  std::span<const std::byte> bytes;
  const std::string& name;
  const DecodeLimits& limits;

  const std::uint8_t* data() const { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }
  std::size_t size() const { return bytes.size(); }
};

Image decode_jpeg(const EncodedImage& file);  // baseline, progressive; grey, YCbCr, RGB, CMYK, YCCK
Image decode_png(const EncodedImage& file);   // every colour type and depth, interlaced or not
Image decode_webp(const EncodedImage& file);  // lossy, lossless, alpha; the first frame of an animation
Image decode_gif(const EncodedImage& file);   // the first frame, on its logical screen
Image decode_bmp(const EncodedImage& file);   // 1 to 32 bits, RLE4, RLE8, bit fields; OS/2 and Windows headers

// The colours of indices 0 to 255; black beyond the file's own palette.
using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

// Every index its own grey level.
Palette grey_palette();
// Whether the first `count` colours are those of grey_palette(): Pillow then takes the picture for a grey one, whose
// indices are levels even beyond the palette.
bool is_grey_palette(const Palette& palette, int count);

// A black picture of that size. Throws CorruptData for an empty one, Unsupported beyond the limits.
Image new_image(std::uint64_t width, std::uint64_t height, const EncodedImage& file);

// "NAME: the FORMAT file ends early" and "NAME: damaged FORMAT file: DETAIL".
Error truncated_image(const EncodedImage& file, const std::string& format);
Error damaged_image(const EncodedImage& file, const std::string& format, const std::string& detail);

}  // namespace striate
