// Sizes in bytes as people write them.
#pragma once

#include <cstdint>
#include <string>

namespace striate {

// "5GB", "500MB", "1.5e9": bytes, decimal units (GiB, MiB binary). Throws InvalidInput, naming `flag`.
std::uint64_t parse_bytes(const std::string& text, const std::string& flag);

}  // namespace striate
