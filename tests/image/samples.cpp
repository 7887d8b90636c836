#include "tests/image/samples.h"

#include <cstdio>
// jpeglib.h needs stdio's FILE and size_t declared first.
#include <jpeglib.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>

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

std::vector<std::string> small_pictures() {
  constexpr std::uintmax_t kSmall = 40'000;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(testdata("images"))) {
    if (entry.is_regular_file() && entry.file_size() <= kSmall) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string picture_bytes(const std::string& name) {
  return read_file(testdata("images/" + name));
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
  const std::string fields{static_cast<char>(header.depth), static_cast<char>(header.colour_type), 0, 0,
                           static_cast<char>(header.interlaced)};
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

std::string jpeg_file() {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = info.image_height = 8;
  info.input_components = 1;
  info.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  jpeg_start_compress(&info, TRUE);
  std::array<JSAMPLE, 8> row{0, 40, 80, 120, 160, 200, 240, 255};
  JSAMPROW rows = row.data();
  for (int y = 0; y < 8; ++y) jpeg_write_scanlines(&info, &rows, 1);
  jpeg_finish_compress(&info);
  std::string out(reinterpret_cast<const char*>(buffer), size);
  std::free(buffer);
  jpeg_destroy_compress(&info);
  return out;
}

std::size_t jpeg_frame_at(const std::string& file) {
  return file.find("\xFF\xC0");
}

std::string gif_file(const GifFile& file) {
  const auto flags = [](const std::string& palette) { return static_cast<char>(palette.empty() ? 0 : 0x80); };
  const std::string pixels("\x02\x02\x4C\x01\0\x3B", 6);
  return "GIF89a" + little16(file.screen_width) + little16(file.screen_height) +
         std::string{flags(file.global_palette), 0, 0} + file.global_palette + file.extensions + "," +
         little16(file.frame_left) + little16(0) + little16(file.frame_width) + little16(file.frame_height) +
         std::string{flags(file.local_palette)} + file.local_palette + pixels;
}

}  // namespace striate::test
