// JPEG by libjpeg-turbo with its defaults (accurate integer DCT, smooth chroma upsampling), as Pillow uses it.
#include <csetjmp>
#include <cstdio>
// jpeglib.h needs stdio's FILE and size_t declared first.
#include <jpeglib.h>

#include <array>
#include <vector>

#include "striate/base/strings.h"
#include "striate/image/decoders.h"

namespace striate {
namespace {

// libjpeg reports errors by calling error_exit, which must not return: it jumps back to the last setjmp.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message;
};

[[noreturn]] void on_error(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, manager->message.data());
  std::longjmp(manager->jump, 1);
}

void on_message(j_common_ptr /*info*/) {}

void do_nothing(j_decompress_ptr /*info*/) {}

// The whole file is in the buffer: wanting more means that it ends early. Suspending makes the library say so.
boolean want_more(j_decompress_ptr /*info*/) {
  return FALSE;
}

void skip_bytes(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  const std::size_t step = std::min(static_cast<std::size_t>(count), info->src->bytes_in_buffer);
  info->src->next_input_byte += step;
  info->src->bytes_in_buffer -= step;
}

enum class Step { kDone, kTruncated, kFailed };

// Owns the decompressor. Its methods call libjpeg under setjmp, so they keep no object with a destructor.
class Decompressor {
 public:
  explicit Decompressor(const EncodedImage& file) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = on_error;
    errors_.base.output_message = on_message;
    source_.next_input_byte = file.data();
    source_.bytes_in_buffer = file.size();
    source_.init_source = do_nothing;
    source_.fill_input_buffer = want_more;
    source_.skip_input_data = skip_bytes;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = do_nothing;
  }
  ~Decompressor() { jpeg_destroy_decompress(&info_); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  Step read_header() {
    if (setjmp(errors_.jump) != 0) return Step::kFailed;
    jpeg_create_decompress(&info_);
    info_.src = &source_;
    return jpeg_read_header(&info_, TRUE) == JPEG_SUSPENDED ? Step::kTruncated : Step::kDone;
  }

  Step start(J_COLOR_SPACE space) {
    if (setjmp(errors_.jump) != 0) return Step::kFailed;
    info_.out_color_space = space;
    return jpeg_start_decompress(&info_) == FALSE ? Step::kTruncated : Step::kDone;
  }

  Step read_row(std::uint8_t* row) {
    if (setjmp(errors_.jump) != 0) return Step::kFailed;
    return jpeg_read_scanlines(&info_, &row, 1) == 1 ? Step::kDone : Step::kTruncated;
  }

  const jpeg_decompress_struct& info() const { return info_; }
  std::string message() const { return errors_.message.data(); }

 private:
  jpeg_decompress_struct info_{};
  jpeg_source_mgr source_{};
  ErrorManager errors_{};
};

void require(Step step, const Decompressor& decompressor, const EncodedImage& file) {
  if (step == Step::kTruncated) throw truncated_image(file, "JPEG");
  if (step == Step::kFailed) throw damaged_image(file, "JPEG", decompressor.message());
}

// a * b / 255, rounded, in Pillow's arithmetic.
int multiply_255(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// Inks as Adobe stores them (255 = none), as Pillow assumes of every four-component JPEG.
void inverted_cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, int width) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<std::uint8_t>(std::max(0, cmyk[3] - multiply_255(255 - cmyk[c], cmyk[3])));
    }
  }
}

}  // namespace

Image decode_jpeg(const EncodedImage& file) {
  Decompressor decompressor(file);
  require(decompressor.read_header(), decompressor, file);
  const jpeg_decompress_struct& info = decompressor.info();
  const int components = info.num_components;
  if (components != 1 && components != 3 && components != 4) {
    throw unsupported(cat(file.name, ": a JPEG of ", components, " components"), "convert it to an RGB JPEG");
  }
  // A block of 8 x 8 takes a bit at least (of a progressive file's first scan); arithmetic coding knows no such bound.
  const double most = info.arith_code == TRUE ? kMostPixelsPerByte : 8.0 * 64;
  Image image = new_image(info.image_width, info.image_height, file, most);
  const J_COLOR_SPACE space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
  require(decompressor.start(space), decompressor, file);
  std::vector<std::uint8_t> line(components == 3 ? 0 : static_cast<std::size_t>(image.width) * components);
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* row = image.rgb.data() + static_cast<std::size_t>(y) * image.width * 3;
    require(decompressor.read_row(components == 3 ? row : line.data()), decompressor, file);
    if (components == 1) {
      for (int x = 0; x < image.width; ++x) row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = line[x];
    } else if (components == 4) {
      inverted_cmyk_to_rgb(line.data(), row, image.width);
    }
  }
  return image;
}

}  // namespace striate
