#include "striate/image/image.h"

#include <algorithm>
#include <array>
#include <new>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/image/decoders.h"
#include "striate/image/picture_name.h"
#include "striate/image/picture_turn.h"

namespace striate {
namespace {

constexpr std::string_view kConvertHint = "convert it to JPEG, PNG, WebP, GIF or BMP";
constexpr std::string_view kReplaceHint = "download or export the picture again";

struct OtherFormat {
  std::size_t offset;
  std::string_view magic;
  std::string_view name;
};

// Formats a user may well hand us and that we do not read, so that the message can say what the file is.
constexpr std::array<OtherFormat, 12> kOtherFormats{{
    {0, std::string_view("II*\0", 4), "TIFF"},
    {0, std::string_view("MM\0*", 4), "TIFF"},
    {4, "ftypavif", "AVIF"},
    {4, "ftyphei", "HEIC"},
    {4, "ftypmif1", "HEIF"},
    {0, std::string_view("\xFF\x0A", 2), "JPEG XL"},
    {0, std::string_view("\0\0\0\x0CJXL ", 8), "JPEG XL"},
    {0, std::string_view("\0\0\0\x0CjP  ", 8), "JPEG 2000"},
    {0, std::string_view("\0\0\1\0", 4), "Windows icon"},
    {0, "%PDF", "PDF"},
    {0, "8BPS", "Photoshop"},
    {0, "<svg", "SVG"},
}};

bool has_magic(std::string_view text, std::size_t offset, std::string_view magic) {
  return text.size() >= offset && text.substr(offset).starts_with(magic);
}

using Decoder = Image (*)(const EncodedImage&);

Decoder decoder_of(std::string_view text) {
  if (has_magic(text, 0, "\xFF\xD8\xFF")) return decode_jpeg;
  if (has_magic(text, 0, "\x89PNG\r\n\x1A\n")) return decode_png;
  if (has_magic(text, 0, "RIFF") && has_magic(text, 8, "WEBP")) return decode_webp;
  if (has_magic(text, 0, "GIF87a") || has_magic(text, 0, "GIF89a")) return decode_gif;
  if (has_magic(text, 0, "BM")) return decode_bmp;
  return nullptr;
}

Error not_an_image(std::string_view text, const std::string& name) {
  for (const OtherFormat& format : kOtherFormats) {
    if (has_magic(text, format.offset, format.magic)) {
      return unsupported(cat(name, ": ", format.name, " pictures are not supported"), std::string(kConvertHint));
    }
  }
  // What the file is, never what is in it: a data set may name any file of this machine.
  if (text.starts_with("version https://git-lfs")) {
    return corrupt_data(cat(name, ": a Git LFS pointer, not the picture"), "download the picture with: git lfs pull");
  }
  for (const std::string_view tag : {"<!DOCTYPE html", "<!doctype html", "<html", "<HTML"}) {
    if (text.starts_with(tag)) return corrupt_data(cat(name, ": a web page, not a picture"), std::string(kReplaceHint));
  }
  return corrupt_data(cat(name, ": not a picture"), "give a JPEG, PNG, WebP, GIF or BMP file");
}

}  // namespace

Palette grey_palette() {
  Palette palette{};
  for (std::size_t i = 0; i < palette.size(); ++i) palette[i].fill(static_cast<std::uint8_t>(i));
  return palette;
}

bool is_grey_palette(const Palette& palette, int count) {
  const Palette grey = grey_palette();
  return std::equal(palette.begin(), palette.begin() + count, grey.begin());
}

Image new_image(std::uint64_t width, std::uint64_t height, const EncodedImage& file, double pixels_per_byte) {
  if (width == 0 || height == 0) {
    throw corrupt_data(cat(file.name, ": the picture is empty (", width, "x", height, " pixels)"),
                       std::string(kReplaceHint));
  }
  // Sides are at most 2^32 - 1 in every format, so the product fits.
  if (width > INT32_MAX || height > INT32_MAX || width * height > file.limits.max_pixels) {
    throw unsupported(cat(file.name, ": claims ", width, "x", height, " pixels, more than the ",
                          human_count(file.limits.max_pixels), " pixels that Striate reads"),
                      "make the picture smaller first");
  }
  constexpr std::uint64_t kAnyFile = 1 << 24;  // up to 50 MB are not worth a question
  if (width * height > kAnyFile &&
      static_cast<double>(width * height) > pixels_per_byte * static_cast<double>(file.size())) {
    throw corrupt_data(
        cat(file.name, ": claims ", width, "x", height, " pixels, more than its ", file.size(), " bytes can hold"),
        std::string(kReplaceHint));
  }
  if (file.turn != nullptr) file.turn->take(width * height * 3);
  Image image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.rgb.resize(static_cast<std::size_t>(width * height * 3));
  return image;
}

Error truncated_image(const EncodedImage& file, const std::string& format) {
  return corrupt_data(cat(file.name, ": the ", format, " file ends early (", file.size(), " bytes)"),
                      std::string(kReplaceHint));
}

Error damaged_image(const EncodedImage& file, const std::string& format, const std::string& detail) {
  return corrupt_data(cat(file.name, ": damaged ", format, " file: ", detail), std::string(kReplaceHint));
}

namespace {

Image decode_file(const EncodedImage& file) {
  const std::string& name = file.name;
  if (file.bytes.empty()) throw corrupt_data(cat(name, ": the file is empty"), std::string(kReplaceHint));
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const Decoder decode = decoder_of(text);
  if (decode == nullptr) throw not_an_image(text, name);
  try {
    return decode(file);
  } catch (const std::bad_alloc&) {
    throw resource_error(cat(name, ": not enough memory for the picture"), "make the picture smaller, or free memory");
  }
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits) {
  return decode_file({bytes, name, limits});
}

Image decode_image(std::span<const std::byte> bytes, const std::string& name, PictureTurn& turn) {
  return decode_file({bytes, name, DecodeLimits{}, &turn});
}

Image load_image(const std::filesystem::path& path, const DecodeLimits& limits) {
  if (const auto other = not_a_file(path.string())) throw invalid_input(other->what, other->hint);
  // Read, not mapped: a file cut short by another program must not become a bus error inside a decoder.
  const std::string text = read_file(path);
  return decode_image(std::as_bytes(std::span(text.data(), text.size())), path.string(), limits);
}

}  // namespace striate
