// Texts in UTF-8: white space, and making text out of bytes that may be malformed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "striate/base/utf8_character.h"

namespace striate {

// `bytes` with every malformed sequence replaced by U+FFFD (one for each maximal subpart, as Rust's
// String::from_utf8_lossy and the WHATWG decoder do).
std::string to_valid_utf8(std::string_view bytes);

// Unicode's White_Space property.
bool is_white_space(char32_t code);
// What Python's str.strip() removes: White_Space and the separators U+001C to U+001F.
bool is_python_space(char32_t code);

// `text` without the leading and trailing characters that Python's str.strip() removes.
std::string_view python_strip(std::string_view text);

// Bytes that arrive in pieces: gives back whole characters, holds back the beginning of one.
class Utf8Assembler {
 public:
  // The characters that `bytes` completes, malformed sequences as U+FFFD.
  std::string push(std::string_view bytes);
  // What is held back, as U+FFFD.
  std::string finish();

 private:
  std::string held_;  // at most three bytes: a character's beginning
};

}  // namespace striate
