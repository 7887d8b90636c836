#include "striate/text/utf8.h"

namespace striate {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Lead {
  std::size_t size;         // 0: no character begins with this byte
  unsigned char low, high;  // what the second byte may be
  char32_t bits;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0, byte};
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF, byte & 0x1Fu};
  if (byte == 0xE0) return {3, 0xA0, 0xBF, 0};
  if (byte == 0xED) return {3, 0x80, 0x9F, 0xD};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF, byte & 0x0Fu};
  if (byte == 0xF0) return {4, 0x90, 0xBF, 0};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF, byte & 0x07u};
  if (byte == 0xF4) return {4, 0x80, 0x8F, 4};
  return {0, 0, 0, 0};
}

}  // namespace

Utf8Character utf8_at(std::string_view text, std::size_t at) {
  const Lead lead = lead_of(static_cast<unsigned char>(text[at]));
  if (lead.size == 0) return {0, 1, false, false};
  char32_t code = lead.bits;
  for (std::size_t i = 1; i < lead.size; ++i) {
    if (at + i >= text.size()) return {0, i, false, true};
    const auto byte = static_cast<unsigned char>(text[at + i]);
    const unsigned char low = i == 1 ? lead.low : 0x80;
    const unsigned char high = i == 1 ? lead.high : 0xBF;
    if (byte < low || byte > high) return {0, i, false, false};
    code = (code << 6) | (byte & 0x3Fu);
  }
  return {code, lead.size, true, false};
}

std::string utf8_encode(char32_t code) {
  std::string out;
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
  return out;
}

std::string to_valid_utf8(std::string_view bytes) {
  Utf8Assembler assembler;
  std::string text = assembler.push(bytes);
  return text += assembler.finish();
}

bool is_white_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
         code == 0x3000;
}

bool is_python_space(char32_t code) {
  return is_white_space(code) || (code >= 0x1C && code <= 0x1F);
}

std::string_view python_strip(std::string_view text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const Utf8Character next = utf8_at(text, begin);
    if (!next.valid || !is_python_space(next.code)) break;
    begin += next.size;
  }
  std::size_t end = begin;
  for (std::size_t at = begin; at < text.size();) {
    const Utf8Character next = utf8_at(text, at);
    at += next.size;
    if (!next.valid || !is_python_space(next.code)) end = at;
  }
  return text.substr(begin, end - begin);
}

std::string Utf8Assembler::push(std::string_view bytes) {
  held_ += bytes;
  std::string out;
  out.reserve(held_.size());
  std::size_t at = 0;
  while (at < held_.size()) {
    const Utf8Character next = utf8_at(held_, at);
    if (next.truncated) break;
    out += next.valid ? std::string_view(held_).substr(at, next.size) : kReplacement;
    at += next.size;
  }
  held_.erase(0, at);
  return out;
}

std::string Utf8Assembler::finish() {
  const bool cut = !held_.empty();
  held_.clear();
  return cut ? std::string(kReplacement) : std::string();
}

}  // namespace striate
