// A 5x7 pixel font of the digits and capital letters.
#pragma once

#include <array>
#include <cstdint>

namespace striate::mini {

inline constexpr int kGlyphWidth = 5;
inline constexpr int kGlyphHeight = 7;

// Rows top to bottom; bit 4 of a row is its leftmost pixel.
using Glyph = std::array<std::uint8_t, kGlyphHeight>;

// The glyph of '0'-'9' or 'A'-'Z'. Throws InternalError for anything else.
const Glyph& glyph(char character);

}  // namespace striate::mini
