// Small text helpers shared by every room.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

// The arguments streamed one after another: cat("layer ", 3, " of ", n).
template <typename... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

// `items` with `separator` between them.
std::string join(const std::vector<std::string>& items, std::string_view separator);

// The pieces of `text` between separators; empty pieces are kept, so join(split(x, c), c) == x.
std::vector<std::string> split(std::string_view text, char separator);

// `text` without leading and trailing ASCII white space.
std::string_view trim(std::string_view text);

// "13.5 GB", "812 kB", "17 B": decimal units, three significant digits.
std::string human_bytes(std::uint64_t bytes);

// "1 step", "3 steps".
template <typename Count>
std::string counted(Count count, std::string_view what) {
  return cat(count, ' ', what, count == 1 ? "" : "s");
}

// "6.74 B", "812 M", "17": decimal, three significant digits.
std::string human_count(std::uint64_t count);

// The candidate nearest to `name` when it is near enough to be a slip, else "": one letter left out, put in or
// mistaken, or two that are swapped, for every three letters of `name`, and at least one; and a letter must agree.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

// Whether `bytes` is well-formed UTF-8 (no surrogates, no overlong forms).
bool is_valid_utf8(std::string_view bytes);

// `text` as one line that is safe to show on a terminal, wherever it came from: control characters (line breaks and
// escape sequences too) and marks that reorder text are written as \u001b, bytes that are not UTF-8 as \xff. All other
// text stays as it is. Error does this to every message.
std::string printable(std::string_view text);

// The same for text of several lines: line breaks and tabs stay.
std::string printable_lines(std::string_view text);

}  // namespace striate
