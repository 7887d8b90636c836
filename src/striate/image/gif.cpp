// GIF by giflib: the first frame on its logical screen, as Pillow shows it.
#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "striate/base/strings.h"
#include "striate/image/decoders.h"

namespace striate {
namespace {

struct Cursor {
  const EncodedImage& file;
  std::size_t position = 0;
  bool truncated = false;
};

int read_bytes(GifFileType* gif, GifByteType* out, int count) {
  auto* cursor = static_cast<Cursor*>(gif->UserData);
  const std::size_t left = cursor->file.size() - cursor->position;
  const std::size_t taken = std::min(static_cast<std::size_t>(count), left);
  if (taken > 0) std::memcpy(out, cursor->file.data() + cursor->position, taken);
  cursor->position += taken;
  if (taken < static_cast<std::size_t>(count)) cursor->truncated = true;
  return static_cast<int>(taken);
}

Error gif_error(const Cursor& cursor, int code) {
  if (cursor.truncated) return truncated_image(cursor.file, "GIF");
  const char* text = GifErrorString(code);
  return damaged_image(cursor.file, "GIF", text != nullptr ? text : "unreadable");
}

void close_gif(GifFileType* gif) {
  DGifCloseFile(gif, nullptr);
}

using Gif = std::unique_ptr<GifFileType, void (*)(GifFileType*)>;

void require(bool ok, const Gif& gif, const Cursor& cursor) {
  if (!ok) throw gif_error(cursor, gif->Error);
}

// Reads one extension; the transparent index when it is a graphic control that names one.
std::optional<int> read_extension(const Gif& gif, const Cursor& cursor) {
  std::optional<int> transparent;
  int code = 0;
  GifByteType* block = nullptr;
  require(DGifGetExtension(gif.get(), &code, &block) == GIF_OK, gif, cursor);
  // A block is its length, then its bytes: flags, delay (2), transparent index.
  if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr && block[0] >= 4 && (block[1] & 1) != 0) {
    transparent = block[4];
  }
  while (block != nullptr) require(DGifGetExtensionNext(gif.get(), &block) == GIF_OK, gif, cursor);
  return transparent;
}

// Moves to the first frame; its transparent index, if any.
std::optional<int> seek_first_frame(const Gif& gif, const Cursor& cursor) {
  std::optional<int> transparent;
  while (true) {
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    require(DGifGetRecordType(gif.get(), &record) == GIF_OK, gif, cursor);
    if (record == IMAGE_DESC_RECORD_TYPE) break;
    if (record == TERMINATE_RECORD_TYPE) throw damaged_image(cursor.file, "GIF", "it holds no picture");
    if (const std::optional<int> index = read_extension(gif, cursor)) transparent = index;
  }
  require(DGifGetImageDesc(gif.get()) == GIF_OK, gif, cursor);
  return transparent;
}

// The frame's own palette, else the global one, else grey levels.
Palette frame_palette(const Gif& gif) {
  const ColorMapObject* map = gif->Image.ColorMap != nullptr ? gif->Image.ColorMap : gif->SColorMap;
  if (map == nullptr) return grey_palette();
  Palette out{};
  const int count = std::min(map->ColorCount, 256);
  for (int i = 0; i < count; ++i) out[i] = {map->Colors[i].Red, map->Colors[i].Green, map->Colors[i].Blue};
  return is_grey_palette(out, count) ? grey_palette() : out;
}

// The order in which the rows of a frame are stored.
std::vector<int> row_order(int height, bool interlaced) {
  std::vector<int> rows;
  if (!interlaced) {
    for (int y = 0; y < height; ++y) rows.push_back(y);
    return rows;
  }
  constexpr std::array<std::array<int, 2>, 4> kPasses{{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};  // first row, step
  for (const auto& [first, step] : kPasses) {
    for (int y = first; y < height; y += step) rows.push_back(y);
  }
  return rows;
}

}  // namespace

Image decode_gif(const EncodedImage& file) {
  Cursor cursor{.file = file};
  int code = 0;
  const Gif gif(DGifOpen(&cursor, read_bytes, &code), close_gif);
  if (gif == nullptr) throw gif_error(cursor, code);
  const std::optional<int> transparent = seek_first_frame(gif, cursor);
  const GifImageDesc frame = gif->Image;
  if (frame.Width <= 0 || frame.Height <= 0) throw damaged_image(file, "GIF", "its first frame is empty");
  // A frame that reaches beyond the screen makes the screen larger.
  Image image =
      new_image(static_cast<std::uint64_t>(std::max(gif->SWidth, frame.Left + frame.Width)),
                static_cast<std::uint64_t>(std::max(gif->SHeight, frame.Top + frame.Height)), file, kMostPixelsPerByte);
  const Palette palette = frame_palette(gif);
  const auto& around = palette[static_cast<std::size_t>(transparent.value_or(0))];
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) std::memcpy(image.rgb.data() + i, around.data(), 3);
  std::vector<GifPixelType> line(static_cast<std::size_t>(frame.Width));
  for (const int y : row_order(frame.Height, frame.Interlace)) {
    require(DGifGetLine(gif.get(), line.data(), frame.Width) == GIF_OK, gif, cursor);
    std::uint8_t* row = image.rgb.data() + (static_cast<std::size_t>(frame.Top + y) * image.width + frame.Left) * 3;
    for (int x = 0; x < frame.Width; ++x) std::memcpy(row + 3 * x, palette[line[x]].data(), 3);
  }
  return image;
}

}  // namespace striate
