// Text as c10d's stores keep it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace striate {

inline std::vector<std::uint8_t> store_bytes(const std::string& text) {
  return {text.begin(), text.end()};
}

inline std::string store_text(const std::vector<std::uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

}  // namespace striate
