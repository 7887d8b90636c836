// Python's string functions over UTF-8.
//
// The scoring code of the benchmarks is Python, and its scores hang on details: what counts as white space, how long a
// string is, what float() accepts. These functions do what Python 3.11 does, with one difference: a capital sigma
// becomes a plain small one in lower(), also at the end of a word. Text that is no UTF-8 is read as Latin-1.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace striate::python {

// str.lower().
std::string lower(std::string_view text);

// str.strip(), str.rstrip(chars), str.strip(chars); `chars` are ASCII.
std::string_view strip(std::string_view text);
std::string_view rstrip(std::string_view text, std::string_view chars);
std::string_view strip(std::string_view text, std::string_view chars);

// str.split(): the words between white space.
std::vector<std::string> split(std::string_view text);

// str.replace(from, to); `from` is not empty.
std::string replace(std::string_view text, std::string_view from, std::string_view to);

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// len(text), and len(text.upper()), which may be more.
std::size_t length(std::string_view text);
std::size_t upper_length(std::string_view text);

// The characters as code points, and the first `count` of them.
std::u32string characters(std::string_view text);
std::string_view prefix(std::string_view text, std::size_t count);

// float(text); nullopt where Python raises ValueError.
std::optional<double> to_float(std::string_view text);

// round(value, digits), and repr(value).
double round(double value, int digits);
std::string repr(double value);

// How many characters must be inserted, deleted or replaced to make one text of the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace striate::python
