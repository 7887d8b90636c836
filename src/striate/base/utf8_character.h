// One UTF-8 character at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace striate {

// One step through a byte string (RFC 3629: no surrogates, no overlong forms).
struct Utf8Character {
  char32_t code = 0;
  std::size_t size = 0;    // bytes it takes; for a malformed sequence its maximal subpart (Unicode 3.9, table 3-8)
  bool valid = false;      // whether `code` is a character
  bool truncated = false;  // not valid, but the beginning of a character that the end of the text cuts off
};

// The character at text[at]; `at` is less than text.size().
Utf8Character utf8_at(std::string_view text, std::size_t at);

// The character's UTF-8 bytes.
std::string utf8_encode(char32_t code);

// Whether a terminal obeys the character in place of showing it: the controls of ASCII and Latin-1, and Unicode's line
// ends and marks that reorder text.
bool is_control(std::uint32_t code);

// "\u001b" for 0x1b; `code` is below 0x10000.
std::string escaped_character(std::uint32_t code);

}  // namespace striate
