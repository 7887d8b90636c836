// Picture names that cannot be file names: addresses (URLs) and base64 data.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace striate {

struct NotAFile {
  std::string what;  // "an address (https://images.example.org/a.jpg) where a picture's file is expected", cut short
  std::string hint;  // what to do about it
};

// Recognises addresses (http://, s3://, file://, ...), data: URIs and bare base64. nullopt: it may be a file's name.
std::optional<NotAFile> not_a_file(std::string_view name);

// `text`, or its beginning and "..." where it has more than `most` bytes; no character is cut in two.
std::string shortened(std::string_view text, std::size_t most);

}  // namespace striate
