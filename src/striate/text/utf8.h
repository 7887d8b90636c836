// UTF-8: reading characters one at a time, and making text out of bytes that may be malformed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace striate {

// One step through a byte string.
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
