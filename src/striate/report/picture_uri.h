// Pictures inside a page.
#pragma once

#include <string>
#include <string_view>

namespace striate {

// "data:image/png;base64,..." of a JPEG, PNG, GIF or WebP file's bytes; "" for bytes that a browser may not show.
std::string picture_uri(std::string_view bytes);

}  // namespace striate
