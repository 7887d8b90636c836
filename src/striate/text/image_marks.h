// The marks that stand in a prompt where its pictures go.
#pragma once

#include <cstddef>
#include <string_view>

namespace striate {

inline constexpr std::string_view kImageMark = "<image>";

// How many marks a text has.
std::size_t image_marks(std::string_view text);

}  // namespace striate
