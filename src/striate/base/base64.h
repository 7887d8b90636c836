// Base64 (RFC 4648), for bytes inside of text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace striate {

// With padding, without line breaks.
std::string base64_of(std::string_view bytes);

// The bytes that `text` stands for; nullopt where it is empty, has another character or is not padded to fours.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace striate
