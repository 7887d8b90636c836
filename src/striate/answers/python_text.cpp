#include "striate/answers/python_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <numeric>

#include "striate/answers/letter_case.h"
#include "striate/base/utf8_character.h"

namespace striate::python {
namespace {

constexpr std::string_view kAsciiSpace = " \t\n\r\v\f\x1c\x1d\x1e\x1f";

struct Next {
  std::uint32_t code;
  std::size_t length;
};

Next next_character(std::string_view rest) {
  const Utf8Character character = utf8_at(rest, 0);
  return character.valid ? Next{character.code, character.size} : Next{static_cast<unsigned char>(rest.front()), 1};
}

bool is_space(std::uint32_t code) {
  if (code < 0x80) return kAsciiSpace.find(static_cast<char>(code)) != std::string_view::npos;
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

std::uint32_t lower_code(std::uint32_t code) {
  const auto run = std::ranges::lower_bound(kLowerRuns, code, {}, &LowerRun::last);
  if (run == kLowerRuns.end() || code < run->first || (code - run->first) % run->step != 0) return code;
  return static_cast<std::uint32_t>(static_cast<std::int64_t>(code) + run->delta);
}

// White space at the end that is more than one byte long.
std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    std::size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    const Next last = next_character(text.substr(start));
    if (last.length != text.size() - start || !is_space(last.code)) return text;
    text.remove_suffix(last.length);
  }
  return text;
}

// Digits with single underscores between them, as Python allows; returns them without, empty where there are none.
std::string take_digits(std::string_view text, std::size_t& at) {
  std::string digits;
  while (at < text.size()) {
    const bool digit = text[at] >= '0' && text[at] <= '9';
    const bool joint = text[at] == '_' && !digits.empty() && text[at - 1] != '_' && at + 1 < text.size() &&
                       text[at + 1] >= '0' && text[at + 1] <= '9';
    if (!digit && !joint) break;
    if (digit) digits += text[at];
    ++at;
  }
  return digits;
}

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Next next = next_character(text);
    text.remove_prefix(next.length);
    if (next.code < 0x80) {
      out += next.code >= 'A' && next.code <= 'Z' ? static_cast<char>(next.code - 'A' + 'a')
                                                  : static_cast<char>(next.code);
    } else if (next.code == 0x130) {
      out += "i\u0307";
    } else {
      out += utf8_encode(lower_code(next.code));
    }
  }
  return out;
}

std::string_view strip(std::string_view text) {
  while (!text.empty()) {
    const Next next = next_character(text);
    if (!is_space(next.code)) break;
    text.remove_prefix(next.length);
  }
  return strip_right(text);
}

std::string_view rstrip(std::string_view text, std::string_view chars) {
  const std::size_t last = text.find_last_not_of(chars);
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

std::string_view strip(std::string_view text, std::string_view chars) {
  const std::size_t first = text.find_first_not_of(chars);
  return first == std::string_view::npos ? std::string_view() : rstrip(text.substr(first), chars);
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  while (!text.empty()) {
    const Next next = next_character(text);
    if (!is_space(next.code)) {
      word += text.substr(0, next.length);
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
    text.remove_prefix(next.length);
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (std::size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return out.append(text);
}

std::size_t length(std::string_view text) {
  return characters(text).size();
}

std::size_t upper_length(std::string_view text) {
  const std::u32string all = characters(text);
  return std::accumulate(all.begin(), all.end(), all.size(), [](std::size_t sum, char32_t c) {
    const auto run = std::ranges::lower_bound(kLongerUpperRuns, c, {}, &LongerUpperRun::last);
    return run == kLongerUpperRuns.end() || c < run->first ? sum : sum + run->more;
  });
}

std::u32string characters(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Next next = next_character(text);
    out += static_cast<char32_t>(next.code);
    text.remove_prefix(next.length);
  }
  return out;
}

std::string_view prefix(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < count && at < text.size(); ++i) at += next_character(text.substr(at)).length;
  return text.substr(0, at);
}

std::optional<double> to_float(std::string_view text) {
  text = strip(text);
  std::size_t at = 0;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) ++at;
  const double sign = negative ? -1 : 1;
  const std::string word = ascii_lower(text.substr(at));
  if (word == "inf" || word == "infinity") return sign * std::numeric_limits<double>::infinity();
  if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  std::string number = take_digits(text, at);
  std::string fraction;
  if (at < text.size() && text[at] == '.') fraction = take_digits(text, ++at);
  if (number.empty() && fraction.empty()) return std::nullopt;
  number = (number.empty() ? "0" : number) + "." + (fraction.empty() ? "0" : fraction);
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    const bool below_one = text.substr(++at).starts_with('-');
    if (below_one || text.substr(at).starts_with('+')) ++at;
    const std::string exponent = take_digits(text, at);
    if (exponent.empty()) return std::nullopt;
    number += (below_one ? "e-" : "e") + exponent;
  }
  if (at != text.size()) return std::nullopt;
  double value = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
  if (read.ec == std::errc::result_out_of_range) {
    value = number.find("e-") == std::string::npos ? std::numeric_limits<double>::infinity() : 0.0;
  }
  return sign * value;
}

double round(double value, int digits) {
  if (!std::isfinite(value)) return value;
  std::array<char, 400> text{};
  const int size = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  double rounded = value;
  std::from_chars(text.data(), text.data() + size, rounded);
  return rounded;
}

std::string repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 400> text{};
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string out(text.data(), end.ptr);
  if (plain && out.find('.') == std::string::npos) out += ".0";
  return out;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::u32string from = characters(a), to = characters(b);
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = from[i] == to[j] ? diagonal : 1 + std::min({diagonal, above, row[j]});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace striate::python
