// Pictures as JPEG files.
#pragma once

#include <string>

#include "striate/image/image.h"

namespace striate {

// Baseline, 4:2:0; the same picture gives the same bytes. `quality` is libjpeg's, 1 to 100. Throws InvalidInput for an
// empty picture and for one of more than 65,500 pixels a side, ResourceError when libjpeg fails.
std::string encode_jpeg(const Image& image, int quality = 80);

// The picture with no side longer than `longest`, in its proportions; as it is where it is small enough.
Image shrunk_to(const Image& image, int longest);

}  // namespace striate
