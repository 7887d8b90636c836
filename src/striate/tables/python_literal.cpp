#include "striate/tables/python_literal.h"

#include <algorithm>
#include <cstdint>

#include "striate/base/utf8_character.h"

namespace striate {
namespace {

constexpr std::string_view kSpace = " \t\r\n\f";

std::optional<unsigned> base_digit(char c, unsigned base) {
  unsigned digit = 99;
  if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
  return digit < base ? std::optional(digit) : std::nullopt;
}

class LiteralText {
 public:
  explicit LiteralText(std::string_view text) : text_(text) {}

  std::optional<std::vector<std::string>> list() {
    const char open = next();
    if (open != '[' && open != '(') return std::nullopt;
    const char close = open == '[' ? ']' : ')';
    ++at_;
    std::vector<std::string> items;
    while (next() != close) {
      std::optional<std::string> item = value();
      if (!item) return std::nullopt;
      items.push_back(std::move(*item));
      if (next() == ',') {
        ++at_;
      } else if (next() != close) {
        return std::nullopt;
      }
    }
    ++at_;
    return next() == '\0' && at_ == text_.size() ? std::optional(std::move(items)) : std::nullopt;
  }

 private:
  char next() {
    at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size());
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  std::optional<std::string> value() {
    const char first = next();
    if (first != '\'' && first != '"') {
      const std::size_t end = text_.find_first_of(" \t\r\n\f,])['\"(", at_);
      if (end == std::string_view::npos || end == at_) return std::nullopt;
      std::string word(text_.substr(at_, end - at_));
      at_ = end;
      return word;
    }
    std::string joined;
    while (next() == '\'' || next() == '"') {
      if (!append_string(joined)) return std::nullopt;
    }
    return joined;
  }

  bool append_string(std::string& out) {
    const char quote = text_[at_++];
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == quote) return true;
      if (c != '\\') {
        out += c;
      } else if (!append_escape(out)) {
        return false;
      }
    }
    return false;
  }

  bool append_escape(std::string& out) {
    if (at_ >= text_.size()) return false;
    constexpr std::string_view kNames = "abfnrtv\\'\"", kValues = "\a\b\f\n\r\t\v\\'\"";
    const char c = text_[at_++];
    if (const std::size_t known = kNames.find(c); known != std::string_view::npos) {
      out += kValues[known];
      return true;
    }
    if (c == '\n') return true;
    if (c == 'x') return append_code(out, 2, 16);
    if (c == 'u') return append_code(out, 4, 16);
    if (c == 'U') return append_code(out, 8, 16);
    if (base_digit(c, 8)) {
      --at_;
      return append_code(out, 3, 8);
    }
    out.append("\\").append(1, c);  // Python leaves what it does not know
    return true;
  }

  // Exactly `most` digits of base 16, up to `most` of base 8. Halves of a pair become what they stand for together.
  bool append_code(std::string& out, int most, unsigned base) {
    std::uint32_t code = 0;
    int count = 0;
    for (; count < most && at_ < text_.size(); ++count, ++at_) {
      const auto digit = base_digit(text_[at_], base);
      if (!digit) break;
      code = code * base + *digit;
    }
    if (count == 0 || (base == 16 && count < most)) return false;
    if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
      std::uint32_t low = 0;
      for (std::size_t i = 2; i < 6; ++i) {
        const auto digit = at_ + i < text_.size() ? base_digit(text_[at_ + i], 16) : std::nullopt;
        if (!digit) return false;
        low = low * 16 + *digit;
      }
      if (low < 0xDC00 || low > 0xDFFF) return false;
      at_ += 6;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    out += utf8_encode(static_cast<char32_t>(code));
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<std::string>> parse_python_list(std::string_view text) {
  return LiteralText(text).list();
}

}  // namespace striate
