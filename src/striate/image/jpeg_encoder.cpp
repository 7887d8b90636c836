#include "striate/image/jpeg_encoder.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
// jpeglib.h needs stdio's FILE and size_t declared first.
#include <jpeglib.h>

#include <algorithm>
#include <array>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

// libjpeg reports errors by calling error_exit, which must not return: it jumps back to the last setjmp.
struct EncoderErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  std::array<char, JMSG_LENGTH_MAX> message;
};

[[noreturn]] void on_encoder_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<EncoderErrors*>(info->err);
  info->err->format_message(info, errors->message.data());
  std::longjmp(errors->jump, 1);
}

// Owns the compressor and its buffer. run() calls libjpeg under setjmp, so it keeps no object with a destructor.
class JpegCompressor {
 public:
  JpegCompressor() {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = on_encoder_error;
  }
  ~JpegCompressor() {
    jpeg_destroy_compress(&info_);
    std::free(bytes_);
  }
  JpegCompressor(const JpegCompressor&) = delete;
  JpegCompressor& operator=(const JpegCompressor&) = delete;

  bool run(const Image& image, int quality) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_compress(&info_);
    jpeg_mem_dest(&info_, &bytes_, &size_);
    info_.image_width = static_cast<JDIMENSION>(image.width);
    info_.image_height = static_cast<JDIMENSION>(image.height);
    info_.input_components = 3;
    info_.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info_);
    jpeg_set_quality(&info_, quality, TRUE);
    jpeg_start_compress(&info_, TRUE);
    while (info_.next_scanline < info_.image_height) {
      // libjpeg reads the row and does not write to it.
      auto* row = const_cast<JSAMPROW>(image.rgb.data() + std::size_t{info_.next_scanline} * info_.image_width * 3);
      jpeg_write_scanlines(&info_, &row, 1);
    }
    jpeg_finish_compress(&info_);
    return true;
  }

  std::string bytes() const { return {reinterpret_cast<const char*>(bytes_), size_}; }
  std::string message() const { return errors_.message.data(); }

 private:
  jpeg_compress_struct info_{};
  EncoderErrors errors_{};
  unsigned char* bytes_ = nullptr;
  unsigned long size_ = 0;
};

}  // namespace

std::string encode_jpeg(const Image& image, int quality) {
  if (image.width < 1 || image.height < 1 || std::max(image.width, image.height) > JPEG_MAX_DIMENSION) {
    throw invalid_input(cat("a picture of ", image.width, " x ", image.height, " cannot be a JPEG"),
                        cat("a JPEG has 1 to ", JPEG_MAX_DIMENSION, " pixels a side"));
  }
  JpegCompressor compressor;
  if (!compressor.run(image, quality)) {
    throw resource_error(cat("the JPEG encoder failed: ", compressor.message()), "is there enough memory?");
  }
  return compressor.bytes();
}

Image shrunk_to(const Image& image, int longest) {
  const int side = std::max(image.width, image.height);
  if (side <= longest) return image;
  const auto scaled = [&](int length) {
    return std::max(1, static_cast<int>(static_cast<std::int64_t>(length) * longest / side));
  };
  return resize_bicubic(image, scaled(image.width), scaled(image.height));
}

}  // namespace striate
