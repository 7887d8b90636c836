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

class PictureTurn;  // picture_turn.h

// What a decoder is given.
struct EncodedImage {
  std::span<const std::byte> bytes;
  const std::string& name;
  const DecodeLimits& limits;
  PictureTurn* turn = nullptr;  // taken before a large picture is allocated

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

// For formats that can say "all of it is one colour" in a few bytes: a bound that no picture worth showing comes near.
inline constexpr double kMostPixelsPerByte = 20'000;

// A black picture of that size. `pixels_per_byte` is the most that the format packs into a byte. Throws CorruptData for
// an empty picture and for one of more than 16 million pixels that the file is too short to hold, Unsupported beyond
// the limits.
Image new_image(std::uint64_t width, std::uint64_t height, const EncodedImage& file, double pixels_per_byte);

// "NAME: the FORMAT file ends early" and "NAME: damaged FORMAT file: DETAIL".
Error truncated_image(const EncodedImage& file, const std::string& format);
Error damaged_image(const EncodedImage& file, const std::string& format, const std::string& detail);

}  // namespace striate
