// PNG by libpng, handing over samples as stored; they become RGB by Pillow's rules.
#include <png.h>

#include <array>
#include <cstring>
#include <vector>

#include "striate/base/strings.h"
#include "striate/image/decoders.h"

namespace striate {
namespace {

struct ReadState {
  const EncodedImage& file;
  std::size_t position = 0;
  bool truncated = false;
  std::array<char, 128> message{};
};

void read_bytes(png_structp png, png_bytep out, std::size_t count) {
  auto* state = static_cast<ReadState*>(png_get_io_ptr(png));
  if (count > state->file.size() - state->position) {
    state->truncated = true;
    png_error(png, "end of file");
  }
  std::memcpy(out, state->file.data() + state->position, count);
  state->position += count;
}

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* state = static_cast<ReadState*>(png_get_error_ptr(png));
  std::strncpy(state->message.data(), message, state->message.size() - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp /*png*/, png_const_charp /*message*/) {}

// Owns the reader. Its methods call libpng under setjmp, so they keep no object with a destructor.
class Reader {
 public:
  explicit Reader(const EncodedImage& file) : state_{.file = file} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state_, on_error, on_warning);
    if (png_ == nullptr) throw resource_error(cat(file.name, ": libpng cannot start"));
    info_ = png_create_info_struct(png_);
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Reads up to the pixels; samples of 1, 2 and 4 bits will come one to a byte.
  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, &state_, read_bytes);
    // Ancillary chunks (colour profiles, compressed texts) change no pixel: none is unpacked.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_read_info(png_, info_);
    png_set_packing(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  bool read_row(std::uint8_t* row) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_row(png_, row, nullptr);
    return true;
  }

  Error error() const {
    return state_.truncated ? truncated_image(state_.file, "PNG")
                            : damaged_image(state_.file, "PNG", state_.message.data());
  }

  std::uint32_t width() const { return png_get_image_width(png_, info_); }
  std::uint32_t height() const { return png_get_image_height(png_, info_); }
  std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  int passes() const { return passes_; }
  int colour_type() const { return png_get_color_type(png_, info_); }

  int bits_per_pixel() const { return png_get_channels(png_, info_) * depth(); }

  // Bits a sample takes in the file.
  int depth() const { return static_cast<int>(state_.file.size() > 24 ? state_.file.data()[24] : 8); }

  Palette palette() const {
    Palette out{};
    png_colorp colours = nullptr;
    int count = 0;
    png_get_PLTE(png_, info_, &colours, &count);
    for (int i = 0; i < count && i < 256; ++i) out[i] = {colours[i].red, colours[i].green, colours[i].blue};
    return out;
  }

 private:
  ReadState state_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
};

// Turns a row of samples into RGB; alpha is dropped, not composited.
class RowConverter {
 public:
  explicit RowConverter(const Reader& reader)
      : palette_(reader.palette()), colour_type_(reader.colour_type()), depth_(reader.depth()) {}

  void operator()(const std::uint8_t* in, std::uint8_t* rgb, int width) const {
    if (colour_type_ == PNG_COLOR_TYPE_PALETTE) {
      for (int x = 0; x < width; ++x) std::memcpy(rgb + 3 * x, palette_[in[x]].data(), 3);
    } else if ((colour_type_ & PNG_COLOR_MASK_COLOR) != 0) {
      colour(in, rgb, width);
    } else {
      for (int x = 0; x < width; ++x) rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = grey(in, x);
    }
  }

 private:
  bool has_alpha() const { return (colour_type_ & PNG_COLOR_MASK_ALPHA) != 0; }

  // 16-bit samples keep their high byte.
  void colour(const std::uint8_t* in, std::uint8_t* rgb, int width) const {
    const int sample = depth_ == 16 ? 2 : 1;
    const int pixel = sample * (has_alpha() ? 4 : 3);
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) rgb[3 * x + c] = in[pixel * x + sample * c];
    }
  }

  std::uint8_t grey(const std::uint8_t* in, int x) const {
    switch (depth_) {
      case 1:
        return in[x] != 0 ? 255 : 0;
      case 2:
        return static_cast<std::uint8_t>(in[x] * 85);
      case 4:
        return static_cast<std::uint8_t>(in[x] * 17);
      case 16:
        // With alpha the high byte; without, Pillow reads integers and clips them to 255.
        if (has_alpha()) return in[4 * x];
        return in[2 * x] != 0 ? 255 : in[2 * x + 1];
      default:
        return in[has_alpha() ? 2 * x : x];
    }
  }

  Palette palette_;
  int colour_type_;
  int depth_;
};

}  // namespace

Image decode_png(const EncodedImage& file) {
  Reader reader(file);
  if (!reader.read_header()) throw reader.error();
  // Deflate packs at most 258 bytes into 2 bits.
  constexpr double kMostDeflated = 1032;
  Image image = new_image(reader.width(), reader.height(), file, kMostDeflated * 8 / reader.bits_per_pixel());
  const RowConverter convert(reader);
  const std::size_t row_bytes = reader.row_bytes();
  // Interlaced rows are completed pass by pass, so all of them are kept.
  const bool whole = reader.passes() > 1;
  std::vector<std::uint8_t> rows(row_bytes * (whole ? static_cast<std::size_t>(image.height) : 1));
  for (int pass = 0; pass < reader.passes(); ++pass) {
    for (int y = 0; y < image.height; ++y) {
      std::uint8_t* row = rows.data() + (whole ? static_cast<std::size_t>(y) * row_bytes : 0);
      if (!reader.read_row(row)) throw reader.error();
      if (pass + 1 == reader.passes()) {
        convert(row, image.rgb.data() + static_cast<std::size_t>(y) * image.width * 3, image.width);
      }
    }
  }
  return image;
}

}  // namespace striate
