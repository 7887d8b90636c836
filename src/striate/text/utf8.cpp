#include "striate/text/utf8.h"

namespace striate {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

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
