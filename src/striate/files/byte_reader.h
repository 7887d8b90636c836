// A cursor over bytes of an outside file that never reads past their end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {

class ByteReader {
 public:
  // `what` ("its pickle") names the bytes in errors, after `file`.
  ByteReader(std::span<const std::byte> bytes, std::string file, std::string what)
      : bytes_(bytes), file_(std::move(file)), what_(std::move(what)) {}

  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }

  // The next `count` bytes. Throws CorruptData when fewer remain.
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > remaining()) fail(cat("ends ", count - remaining(), " bytes too early"));
    const std::span<const std::byte> taken = bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += taken.size();
    return taken;
  }

  std::string_view text(std::uint64_t count) {
    const std::span<const std::byte> taken = take(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  // Up to the next newline, which is passed over.
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + position_, remaining());
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) fail("ends inside a line");
    position_ += end + 1;
    return rest.substr(0, end);
  }

  // A little-endian unsigned integer of `width` bytes, at most 8.
  std::uint64_t unsigned_integer(std::size_t width) {
    std::uint64_t value = 0;
    std::size_t shift = 0;
    for (const std::byte b : take(width)) {
      value |= static_cast<std::uint64_t>(b) << shift;
      shift += 8;
    }
    return value;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(unsigned_integer(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(unsigned_integer(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(unsigned_integer(4)); }
  std::uint64_t u64() { return unsigned_integer(8); }

  const std::string& file() const { return file_; }

  // "FILE: WHAT PROBLEM (at byte N)".
  [[noreturn]] void fail(const std::string& problem) const {
    throw corrupt_data(cat(file_, ": ", what_, ' ', problem, " (at byte ", position_, ")"),
                       "the file is truncated or damaged: download it again");
  }

 private:
  std::span<const std::byte> bytes_;
  std::string file_;
  std::string what_;
  std::size_t position_ = 0;
};

}  // namespace striate
