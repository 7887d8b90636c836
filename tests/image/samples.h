// Small pictures and builders for the image tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/image/image.h"

namespace striate::test {

// The names of the reference pictures of at most 40 kB.
std::vector<std::string> small_pictures();

// The bytes of a reference picture.
std::string picture_bytes(const std::string& name);

Image decode(const std::string& bytes, const DecodeLimits& limits = {});

// The error that decoding gives; nullopt when it decodes. Any other exception fails the test by passing through.
std::optional<Error> decode_error(const std::string& bytes, const DecodeLimits& limits = {});

// `bytes` with those at `at` replaced.
std::string patched(std::string bytes, std::size_t at, const std::string& with);

std::string little16(std::uint32_t value);
std::string little32(std::uint32_t value);
std::string big16(std::uint32_t value);
std::string big32(std::uint32_t value);

// A PNG chunk with its length and checksum.
std::string png_chunk(const std::string& type, const std::string& data);

struct PngHeader {
  std::uint32_t width = 1;
  std::uint32_t height = 1;
  int depth = 8;
  int colour_type = 0;
  bool interlaced = false;
};
// A PNG of those rows (each with its filter byte), and `extra` chunks before the pixels.
std::string png_file(const PngHeader& header, const std::string& rows, const std::string& extra = {});

struct BmpFile {
  std::int32_t width = 1;
  std::int32_t height = 1;
  int bits = 24;
  std::uint32_t compression = 0;
  std::string masks_or_palette = {};  // as it stands in the file
  std::uint32_t colours = 0;
  std::string pixels = {};
};
std::string bmp_file(const BmpFile& file);

// A grey baseline JPEG of 8 x 8 pixels, and where in it the frame header (FF C0) begins.
std::string jpeg_file();
std::size_t jpeg_frame_at(const std::string& file);

struct GifFile {
  std::uint32_t screen_width = 2;
  std::uint32_t screen_height = 1;
  std::uint32_t frame_left = 1;
  std::uint32_t frame_width = 1;
  std::uint32_t frame_height = 1;
  std::string global_palette = {};  // two colours, or none
  std::string extensions = {};
  std::string local_palette = {};
};
// A GIF whose frame is one pixel of index 1.
std::string gif_file(const GifFile& file);

}  // namespace striate::test
