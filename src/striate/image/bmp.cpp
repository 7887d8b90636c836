// BMP: a bounded reader of our own, following Pillow's (no library of the usual set reads this format).
//
// Layout: 14 bytes of file header ("BM", sizes, offset of the pixels), an information header of 12 (OS/2) or 40 to 124
// bytes, colour masks or a palette, rows padded to 4 bytes, bottom row first unless the height is negative.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "striate/base/strings.h"
#include "striate/image/decoders.h"

namespace striate {
namespace {

constexpr std::size_t kFileHeader = 14;
constexpr std::uint32_t kOs2Header = 12;

enum Compression : std::uint32_t { kRaw = 0, kRle8 = 1, kRle4 = 2, kBitFields = 3 };

// Reads with a bound: everything beyond the file is a truncated file.
class Bytes {
 public:
  explicit Bytes(const EncodedImage& file) : file_(file) {}

  std::uint8_t u8(std::size_t at) const { return *slice(at, 1); }
  std::uint16_t u16(std::size_t at) const {
    const std::uint8_t* p = slice(at, 2);
    return static_cast<std::uint16_t>(p[0] | p[1] << 8);
  }
  std::uint32_t u32(std::size_t at) const { return u16(at) | static_cast<std::uint32_t>(u16(at + 2)) << 16; }

  const std::uint8_t* slice(std::size_t at, std::size_t count) const {
    if (at > file_.size() || count > file_.size() - at) throw truncated_image(file_, "BMP");
    return file_.data() + at;
  }

 private:
  const EncodedImage& file_;
};

struct Header {
  std::uint32_t header_size = 0;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  bool top_down = false;
  int bits = 0;
  std::uint32_t compression = kRaw;
  std::uint32_t colours = 0;
  std::size_t palette_at = 0;
  std::size_t palette_entry = 4;
  std::size_t pixels_at = 0;
  std::array<std::uint32_t, 3> masks{};  // red, green, blue; zero when the depth says it
};

std::array<std::uint32_t, 3> read_masks(const Bytes& bytes, std::size_t at) {
  return {bytes.u32(at), bytes.u32(at + 4), bytes.u32(at + 8)};
}

Header read_header(const EncodedImage& file) {
  const Bytes bytes(file);
  Header header;
  header.pixels_at = bytes.u32(10);
  header.header_size = bytes.u32(kFileHeader);
  header.palette_at = kFileHeader + header.header_size;
  if (header.header_size == kOs2Header) {
    header.width = bytes.u16(18);
    header.height = bytes.u16(20);
    header.bits = bytes.u16(24);
    header.palette_entry = 3;
  } else if (header.header_size >= 40 && header.header_size <= 124) {
    header.width = bytes.u32(18);
    header.height = bytes.u32(22);
    header.top_down = (header.height >> 24) == 0xFF;  // a negative height, as far as Pillow reads one
    if (header.top_down) header.height = 0 - header.height;
    header.bits = bytes.u16(28);
    header.compression = bytes.u32(30);
    header.colours = bytes.u32(46);
  } else {
    throw damaged_image(file, "BMP", cat("a header of ", header.header_size, " bytes"));
  }
  if (header.compression == kBitFields) {
    // Longer headers hold the masks; after the 40-byte one they stand where a palette would.
    header.masks = read_masks(bytes, kFileHeader + 40);
    if (header.header_size < 52) header.palette_at += 12;
  }
  if (header.colours == 0 && header.bits <= 8) header.colours = 1U << header.bits;
  if (header.pixels_at == kFileHeader + header.header_size && header.bits <= 8) {
    header.pixels_at += std::size_t{header.colours} * header.palette_entry;  // a writer that forgot its palette
  }
  if (header.pixels_at == 0) header.pixels_at = header.palette_at;
  return header;
}

void check_supported(const Header& header, const EncodedImage& file) {
  const auto refuse = [&](const std::string& what) {
    throw unsupported(cat(file.name, ": a BMP with ", what), "convert it to PNG");
  };
  constexpr std::array<int, 6> kDepths{1, 4, 8, 16, 24, 32};
  if (std::find(kDepths.begin(), kDepths.end(), header.bits) == kDepths.end())
    refuse(cat(header.bits, " bits per pixel"));
  if (header.bits <= 8 && header.colours > 65536) {
    throw damaged_image(file, "BMP", cat("a palette of ", header.colours, " colours"));
  }
  switch (header.compression) {
    case kRaw:
      return;
    case kRle8:
    case kRle4:
      if (header.bits > 8) refuse(cat("run lengths at ", header.bits, " bits per pixel"));
      return;
    case kBitFields:
      if (header.bits < 16) refuse(cat("bit fields at ", header.bits, " bits per pixel"));
      return;
    default:
      refuse(cat("compression ", header.compression));
  }
}

Palette read_palette(const Header& header, const EncodedImage& file) {
  const Bytes bytes(file);
  Palette palette{};
  const std::size_t count = std::min<std::size_t>(header.colours, palette.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* bgr = bytes.slice(header.palette_at + i * header.palette_entry, 3);
    palette[i] = {bgr[2], bgr[1], bgr[0]};
  }
  return is_grey_palette(palette, static_cast<int>(count)) ? grey_palette() : palette;
}

// One channel of a pixel of bit fields: 0 to 255, rounded down as Pillow does.
struct Channel {
  std::uint32_t mask;
  int shift;
  std::uint32_t most;

  explicit Channel(std::uint32_t bits) : mask(bits), shift(0), most(0) {
    if (mask == 0) return;
    while (((mask >> shift) & 1) == 0) ++shift;
    most = mask >> shift;
  }
  std::uint8_t of(std::uint32_t pixel) const {
    if (most == 0) return 0;
    return static_cast<std::uint8_t>(std::uint64_t{(pixel & mask) >> shift} * 255 / most);
  }
};

std::array<std::uint32_t, 3> masks_of(const Header& header) {
  const bool given = header.compression == kBitFields && (header.masks[0] | header.masks[1] | header.masks[2]) != 0;
  if (given) return header.masks;
  if (header.bits == 16) return {0x7C00, 0x03E0, 0x001F};
  return {0xFF0000, 0x00FF00, 0x0000FF};
}

void decode_raw(const Header& header, const EncodedImage& file, Image& image) {
  const Bytes bytes(file);
  const Palette palette = header.bits <= 8 ? read_palette(header, file) : Palette{};
  const auto masks = masks_of(header);
  const std::array<Channel, 3> channels{Channel(masks[0]), Channel(masks[1]), Channel(masks[2])};
  const std::size_t used = (std::size_t{header.width} * header.bits + 7) / 8;
  const std::size_t stride = (used + 3) / 4 * 4;
  const std::size_t width = header.width;
  for (std::size_t line = 0; line < header.height; ++line) {
    const std::uint8_t* in = bytes.slice(header.pixels_at + line * stride, used);
    const std::size_t y = header.top_down ? line : header.height - 1 - line;
    std::uint8_t* row = image.rgb.data() + y * width * 3;
    for (std::size_t x = 0; x < width; ++x) {
      if (header.bits <= 8) {
        const std::size_t bit = x * header.bits;
        const unsigned index = in[bit / 8] >> (8 - header.bits - bit % 8) & ((1U << header.bits) - 1);
        std::memcpy(row + 3 * x, palette[index].data(), 3);
      } else {
        std::uint32_t pixel = 0;
        for (int b = 0; b < header.bits / 8; ++b) pixel |= std::uint32_t{in[x * header.bits / 8 + b]} << (8 * b);
        for (std::size_t c = 0; c < 3; ++c) row[3 * x + c] = channels[c].of(pixel);
      }
    }
  }
}

// Run lengths: pairs (count, value), or 0 then 0 end of line, 1 end of picture, 2 right and up, n literal values.
class RunLengths {
 public:
  RunLengths(const Header& header, const EncodedImage& file)
      : bytes_(file), position_(header.pixels_at), width_(header.width), four_bits_(header.compression == kRle4) {
    indices_.reserve(std::size_t{header.width} * header.height);
    total_ = std::size_t{header.width} * header.height;
  }

  // width * height palette indices, in the file's row order; what the runs leave out is index 0.
  std::vector<std::uint8_t> decode() {
    while (indices_.size() < total_) {
      const std::uint8_t count = next();
      const std::uint8_t value = next();
      if (count > 0) {
        run(count, value);
      } else if (value == 0) {
        fill((width_ - indices_.size() % width_) % width_);
        x_ = 0;
      } else if (value == 1) {
        break;
      } else if (value == 2) {
        const std::size_t right = next();
        const std::size_t up = next();
        fill(right + up * width_);
        x_ = indices_.size() % width_;
      } else {
        literal(value);
      }
    }
    indices_.resize(total_);
    return std::move(indices_);
  }

 private:
  std::uint8_t next() { return bytes_.u8(position_++); }
  void fill(std::size_t count) { indices_.resize(std::min(total_, indices_.size() + count)); }

  void run(std::size_t count, std::uint8_t value) {
    count = std::min(count, width_ > x_ ? width_ - x_ : 0);  // a run does not go on in the next row
    count = std::min(count, total_ - indices_.size());
    for (std::size_t i = 0; i < count; ++i) {
      indices_.push_back(!four_bits_ ? value : i % 2 == 0 ? value >> 4 : value & 15);
    }
    x_ += count;
  }

  void literal(std::size_t count) {
    const std::size_t kept = std::min(count, total_ - indices_.size());
    const std::size_t stored = four_bits_ ? (kept + 1) / 2 : kept;
    const std::uint8_t* in = bytes_.slice(position_, stored);
    for (std::size_t i = 0; i < kept; ++i) {
      indices_.push_back(!four_bits_ ? in[i] : i % 2 == 0 ? in[i / 2] >> 4 : in[i / 2] & 15);
    }
    x_ += count;
    position_ += stored;
    position_ += position_ % 2;  // to an even place in the file, as Pillow counts
  }

  Bytes bytes_;
  std::size_t position_;
  std::size_t width_;
  std::size_t total_ = 0;
  std::size_t x_ = 0;
  bool four_bits_;
  std::vector<std::uint8_t> indices_;
};

void decode_runs(const Header& header, const EncodedImage& file, Image& image) {
  const Palette palette = read_palette(header, file);
  const std::vector<std::uint8_t> indices = RunLengths(header, file).decode();
  const std::size_t width = header.width;
  for (std::size_t line = 0; line < header.height; ++line) {
    const std::size_t y = header.top_down ? line : header.height - 1 - line;
    for (std::size_t x = 0; x < width; ++x) {
      std::memcpy(image.rgb.data() + (y * width + x) * 3, palette[indices[line * width + x]].data(), 3);
    }
  }
}

}  // namespace

Image decode_bmp(const EncodedImage& file) {
  const Header header = read_header(file);
  check_supported(header, file);
  const bool runs = header.compression == kRle8 || header.compression == kRle4;
  Image image = new_image(header.width, header.height, file, runs ? kMostPixelsPerByte : 8.0 / header.bits);
  if (runs) {
    decode_runs(header, file, image);
  } else {
    decode_raw(header, file, image);
  }
  return image;
}

}  // namespace striate
