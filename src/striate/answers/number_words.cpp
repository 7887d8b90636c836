// Numbers in words, as the Python package word2number 1.1 reads them. It passes over every other word, so that "no one"
// is 1 and "point" is 0; what makes it fail is no number here either.
#include <algorithm>
#include <map>
#include <optional>

#include "striate/answers/python_text.h"
#include "striate/answers/rules.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using Words = std::vector<std::string>;

const std::map<std::string, double>& word_values() {
  static const std::map<std::string, double> values = {
      {"zero", 0},      {"one", 1},       {"two", 2},       {"three", 3},    {"four", 4},      {"five", 5},
      {"six", 6},       {"seven", 7},     {"eight", 8},     {"nine", 9},     {"ten", 10},      {"eleven", 11},
      {"twelve", 12},   {"thirteen", 13}, {"fourteen", 14}, {"fifteen", 15}, {"sixteen", 16},  {"seventeen", 17},
      {"eighteen", 18}, {"nineteen", 19}, {"twenty", 20},   {"thirty", 30},  {"forty", 40},    {"fifty", 50},
      {"sixty", 60},    {"seventy", 70},  {"eighty", 80},   {"ninety", 90},  {"hundred", 100}, {"thousand", 1e3},
      {"million", 1e6}, {"billion", 1e9}, {"point", -1}};
  return values;
}

std::ptrdiff_t place_of(const Words& words, std::string_view word) {
  const auto found = std::ranges::find(words, word);
  return found == words.end() ? -1 : found - words.begin();
}

Words part(const Words& words, std::ptrdiff_t from, std::ptrdiff_t to) {
  if (from >= to) return {};
  return {words.begin() + from, words.begin() + to};
}

// Up to four words below a thousand: "two hundred thirty one". nullopt for none at all.
std::optional<double> below_thousand(const Words& words) {
  if (words.empty()) return std::nullopt;
  std::vector<double> n;
  for (const std::string& word : words) n.push_back(word_values().at(word));
  if (n.size() == 4) return n[0] * n[1] + n[2] + n[3];
  if (n.size() == 3) return n[0] * n[1] + n[2];
  if (n.size() == 2) return n[0] == 100 || n[1] == 100 ? n[0] * n[1] : n[0] + n[1];
  return n[0];
}

std::optional<double> whole_part(const Words& words) {
  if (words.empty()) return 0;
  const std::ptrdiff_t billion = place_of(words, "billion"), million = place_of(words, "million"),
                       thousand = place_of(words, "thousand");
  if ((thousand > -1 && (thousand < million || thousand < billion)) || (million > -1 && million < billion)) {
    return std::nullopt;
  }
  if (words.size() == 1) return word_values().at(words[0]);
  double sum = 0;
  std::ptrdiff_t done = 0;
  for (const auto& [place, value] : {std::pair(billion, 1e9), {million, 1e6}, {thousand, 1e3}}) {
    if (place < 0) continue;
    const std::optional<double> times = below_thousand(part(words, done, place));
    if (!times) return std::nullopt;
    sum += *times * value;
    done = place + 1;
  }
  const auto size = static_cast<std::ptrdiff_t>(words.size());
  if (done < size) {
    const std::optional<double> rest = below_thousand(part(words, done, size));
    if (!rest) return std::nullopt;
    sum += *rest;
  }
  return sum;
}

// The digits after "point"; 0 where one of the words is no digit.
double decimal_part(const Words& words) {
  std::string digits = "0.";
  for (const std::string& word : words) {
    const double value = word_values().at(word);
    if (value < 0 || value > 9) return 0;
    digits += static_cast<char>('0' + static_cast<int>(value));
  }
  return python::to_float(digits).value_or(0);
}

std::string without_leading_zeros(const std::string& digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0" : digits.substr(first);
}

}  // namespace

std::optional<std::string> number_of_words(std::string_view text) {
  const std::string lower = python::lower(python::replace(text, "-", " "));
  const bool all_digits = !lower.empty() && std::ranges::all_of(lower, [](char c) { return c >= '0' && c <= '9'; });
  constexpr std::size_t kMostDigits = 4300;  // beyond which Python's int() refuses
  if (all_digits) {
    if (lower.size() > kMostDigits) return std::nullopt;
    return without_leading_zeros(lower);
  }
  Words words;
  for (std::string& word : python::split(lower)) {
    if (word_values().contains(word)) words.push_back(std::move(word));
  }
  if (words.empty()) return std::nullopt;
  for (const char* once : {"thousand", "million", "billion", "point"}) {
    if (std::ranges::count(words, once) > 1) return std::nullopt;
  }
  const std::ptrdiff_t point = place_of(words, "point");
  const auto size = static_cast<std::ptrdiff_t>(words.size());
  const std::optional<double> whole = whole_part(point < 0 ? words : part(words, 0, point));
  if (!whole) return std::nullopt;
  const bool has_decimals = point >= 0 && point + 1 < size;
  const Words after = has_decimals ? part(words, point + 1, size) : Words();
  const double sum = *whole + decimal_part(after);
  std::string shown = python::repr(sum);
  // get_decimal_sum() returns the whole number 0 for words that are no digits.
  const bool whole_number = !has_decimals || std::ranges::any_of(after, [](const std::string& word) {
    const double value = word_values().at(word);
    return value < 0 || value > 9;
  });
  if (whole_number && shown.ends_with(".0")) shown.resize(shown.size() - 2);
  if (whole_number && shown.find('e') != std::string::npos) shown = cat(static_cast<long long>(sum));
  return shown;
}

}  // namespace striate
