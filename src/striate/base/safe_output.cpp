#include "striate/base/safe_output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "striate/base/utf8_character.h"

namespace striate {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool is_plain(unsigned char byte) {
  return (byte >= 0x20 && byte < 0x7F) || byte == '\n' || byte == '\t';
}

// Nearly all output is plain ASCII: one pass tells.
bool all_plain(std::string_view text) {
  bool plain = true;
  for (const char c : text) plain &= is_plain(static_cast<unsigned char>(c));
  return plain;
}

// How many bytes at the end of `text` may be the beginning of a character whose others are still to come.
std::size_t unfinished_bytes(std::string_view text) {
  constexpr std::size_t kMost = 3;
  for (std::size_t back = 1; back <= std::min(kMost, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t whole = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return whole > back ? back : 0;
  }
  return 0;
}

}  // namespace

std::string output_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(
        std::ranges::find_if_not(text, [](char c) { return is_plain(static_cast<unsigned char>(c)); }) - text.begin());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const Utf8Character c = utf8_at(text, 0);
    const std::size_t length = c.valid ? c.size : 1;
    if (!c.valid) {
      out += kReplacement;
    } else if (is_control(c.code)) {
      out += escaped_character(c.code);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

SafeOutput::SafeOutput(int file) : file_(file), buffer_(kBufferBytes, '\0') {
  setp(buffer_.data(), buffer_.data() + buffer_.size());
}

SafeOutput::~SafeOutput() {
  finish();
}

void SafeOutput::finish() {
  drain(true);
}

SafeOutput::int_type SafeOutput::overflow(int_type next) {
  if (!drain(false)) return traits_type::eof();
  if (traits_type::eq_int_type(next, traits_type::eof())) return traits_type::not_eof(next);
  return sputc(traits_type::to_char_type(next));
}

int SafeOutput::sync() {
  return drain(false) ? 0 : -1;
}

bool SafeOutput::drain(bool last) {
  const std::string_view all(pbase(), static_cast<std::size_t>(pptr() - pbase()));
  const std::size_t waiting = last ? 0 : unfinished_bytes(all);
  const std::string_view text = all.substr(0, all.size() - waiting);
  if (all_plain(text)) {
    write(text);
  } else {
    write(output_text(text));
  }
  std::copy(all.end() - static_cast<std::ptrdiff_t>(waiting), all.end(), buffer_.begin());
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  pbump(static_cast<int>(waiting));
  return error_ == 0;
}

void SafeOutput::write(std::string_view text) {
  while (!text.empty() && error_ == 0) {
    const ssize_t count = ::write(file_, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      // Somebody made the other end non-blocking: wait until it takes more.
      pollfd ready{file_, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
}

}  // namespace striate
