#include "striate/image/picture_name.h"

#include <algorithm>
#include <cctype>

#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kShown = 80;         // bytes of an address in a message
constexpr std::size_t kShownData = 32;     // of data
constexpr std::size_t kShortestData = 48;  // base64 of fewer bytes holds no picture

// How base64 of a JPEG, PNG, GIF and WebP begins.
constexpr std::string_view kPictureStarts[] = {"/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR"};

// "https" of "https://..."; "" where there is none. One letter is a drive's.
std::string_view scheme_of(std::string_view name) {
  const std::size_t end = name.find("://");
  if (end == std::string_view::npos || end < 2) return {};
  const auto fits = [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.'; };
  return std::all_of(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(end), fits) ? name.substr(0, end)
                                                                                          : std::string_view();
}

bool is_data_uri(std::string_view name) {
  constexpr std::string_view kData = "data:";
  return name.size() > kData.size() && std::ranges::equal(name.substr(0, kData.size()), kData, [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

bool is_base64(std::string_view name) {
  if (name.size() < kShortestData) return false;
  const bool starts = std::ranges::any_of(kPictureStarts, [&](std::string_view s) { return name.starts_with(s); });
  // Longer than any file's name is: then it need not begin like a picture.
  constexpr std::size_t kLongestName = 4096;
  return (starts || name.size() > kLongestName) && std::ranges::all_of(name, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '+' || c == '/' || c == '=' || c == '\n' || c == '\r';
         });
}

}  // namespace

std::optional<NotAFile> not_a_file(std::string_view name) {
  if (is_data_uri(name) || is_base64(name)) {
    return NotAFile{cat("base64 data (", shortened(name, kShownData), ") where a picture's file is expected"),
                    "decode the data into a picture file, and give that file's name"};
  }
  const std::string_view scheme = scheme_of(name);
  if (scheme.empty()) return std::nullopt;
  return NotAFile{cat("an address (URL) where a picture's file is expected: ", shortened(name, kShown)),
                  scheme == "file" ? "give the file's own name, without file://"
                                   : "download the picture, and give the file's name: Striate downloads nothing"};
}

std::string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return cat(text.substr(0, end), "...");
}

}  // namespace striate
