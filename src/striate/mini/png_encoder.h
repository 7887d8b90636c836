// Pictures as PNG files.
#pragma once

#include <string>

#include "striate/image/image.h"

namespace striate::mini {

// 8-bit RGB, losslessly; the same picture gives the same bytes. Throws ResourceError when libpng fails.
std::string encode_png(const Image& image);

}  // namespace striate::mini
