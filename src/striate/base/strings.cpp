#include "striate/base/strings.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <numeric>

#include "striate/base/utf8_character.h"

namespace striate {

std::string join(const std::vector<std::string>& items, std::string_view separator) {
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += separator;
    out += items[i];
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = text.find(separator, begin);
    pieces.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return pieces;
    begin = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

namespace {

std::string scaled(std::uint64_t value, const std::array<const char*, 5>& units) {
  double scaled_value = static_cast<double>(value);
  std::size_t unit = 0;
  while (scaled_value >= 999.5 && unit + 1 < units.size()) {
    scaled_value /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 || scaled_value >= 99.95 ? 0 : scaled_value >= 9.995 ? 1 : 2;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, scaled_value);
  std::string out = text.data();
  if (*units[unit] != '\0') out += cat(' ', units[unit]);
  return out;
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
  return scaled(bytes, {"B", "kB", "MB", "GB", "TB"});
}

std::string human_count(std::uint64_t count) {
  return scaled(count, {"", "k", "M", "B", "T"});
}

namespace {

// The fewest slips that make one name of the other: a letter left out, put in or mistaken, or two swapped.
std::size_t slips_between(std::string_view from, std::string_view to) {
  std::vector<std::size_t> earlier, last, row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); ++i) {
    earlier.swap(last);
    last.swap(row);
    row.assign(to.size() + 1, i);
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t mistaken = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, mistaken});
      const bool swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (swapped) row[j] = std::min(row[j], earlier[j - 2] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t fewest = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t slips = slips_between(name, candidate);
    if (slips >= fewest || slips >= std::max(name.size(), candidate.size())) continue;
    fewest = slips;
    best = candidate;
  }
  return best;
}

namespace {

std::string escaped(std::string_view text, std::string_view kept) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Character c = utf8_at(text, 0);
    const std::size_t length = c.valid ? c.size : 1;
    const auto byte = static_cast<unsigned char>(text[0]);
    if (!c.valid) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else if (is_control(c.code) && kept.find(text[0]) == std::string_view::npos) {
      out += escaped_character(c.code);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Utf8Character c = utf8_at(bytes, 0);
    if (!c.valid) return false;
    bytes.remove_prefix(c.size);
  }
  return true;
}

std::string printable(std::string_view text) {
  return escaped(text, "");
}

std::string printable_lines(std::string_view text) {
  return escaped(text, "\n\t");
}

}  // namespace striate
