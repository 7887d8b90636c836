#include "tests/image/samples.h"

#include <zlib.h>

#include "striate/base/files.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

std::string number(std::uint32_t value, int bytes, bool little) {
  std::string out;
  for (int i = 0; i < bytes; ++i) {
    const int shift = 8 * (little ? i : bytes - 1 - i);
    out += static_cast<char>(static_cast<unsigned char>(value >> shift));
  }
  return out;
}

}  // namespace

const std::vector<std::string>& small_pictures() {
  static const std::vector<std::string> kNames{"hopper_128.jpg",
                                               "astronaut_tall_progressive.jpg",
                                               "cmyk_adobe.jpg",
                                               "exif_orientation_rect.jpg",
                                               "palette_trns.png",
                                               "gray16_75x50.png",
                                               "rgb16.png",
                                               "palette_color_small.png",
                                               "tiny_rgba_3x2.png",
                                               "flower_lossy.webp",
                                               "chelsea_lossless.webp",
                                               "transparent_alpha.webp",
                                               "hopper_palette.gif",
                                               "small_113x75.bmp"};
  return kNames;
}

std::string picture_bytes(const std::string& name) {
  return read_file(*testdata() / "images" / name);
}

Image decode(const std::string& bytes, const DecodeLimits& limits) {
  return decode_image(std::as_bytes(std::span(bytes.data(), bytes.size())), "picture", limits);
}

std::optional<Error> decode_error(const std::string& bytes, const DecodeLimits& limits) {
  try {
    decode(bytes, limits);
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

std::string patched(std::string bytes, std::size_t at, const std::string& with) {
  return bytes.replace(at, with.size(), with);
}

std::string little16(std::uint32_t value) {
  return number(value, 2, true);
}
std::string little32(std::uint32_t value) {
  return number(value, 4, true);
}
std::string big16(std::uint32_t value) {
  return number(value, 2, false);
}
std::string big32(std::uint32_t value) {
  return number(value, 4, false);
}

std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const uLong checksum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big32(static_cast<std::uint32_t>(data.size())) + body + big32(static_cast<std::uint32_t>(checksum));
}

std::string png_file(const PngHeader& header, const std::string& rows, const std::string& extra) {
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  packed.resize(size);
  const std::string fields{static_cast<char>(header.depth), static_cast<char>(header.colour_type), 0, 0, 0};
  return std::string("\x89PNG\r\n\x1A\n") + png_chunk("IHDR", big32(header.width) + big32(header.height) + fields) +
         extra + png_chunk("IDAT", packed) + png_chunk("IEND", {});
}

std::string bmp_file(const BmpFile& file) {
  const auto offset = static_cast<std::uint32_t>(14 + 40 + file.masks_or_palette.size());
  const auto size = static_cast<std::uint32_t>(offset + file.pixels.size());
  return "BM" + little32(size) + little32(0) + little32(offset) + little32(40) +
         little32(static_cast<std::uint32_t>(file.width)) + little32(static_cast<std::uint32_t>(file.height)) +
         little16(1) + little16(static_cast<std::uint32_t>(file.bits)) + little32(file.compression) + little32(0) +
         little32(0) + little32(0) + little32(file.colours) + little32(0) + file.masks_or_palette + file.pixels;
}

}  // namespace striate::test
