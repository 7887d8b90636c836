#include "striate/mini/png_encoder.h"

#include <png.h>

#include "striate/base/error.h"

namespace striate::mini {

std::string encode_png(const Image& image) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.width);
  header.height = static_cast<png_uint_32>(image.height);
  header.format = PNG_FORMAT_RGB;
  std::string out(PNG_IMAGE_PNG_SIZE_MAX(header), '\0');
  png_alloc_size_t size = out.size();
  const int row_bytes = image.width * 3;
  if (png_image_write_to_memory(&header, out.data(), &size, 0, image.rgb.data(), row_bytes, nullptr) == 0) {
    throw resource_error(std::string("libpng cannot encode a picture: ") + header.message);
  }
  out.resize(size);
  return out;
}

}  // namespace striate::mini
