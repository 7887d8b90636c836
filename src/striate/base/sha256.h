// SHA-256 (FIPS 180-4), from OpenSSL.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace striate {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::span<const std::byte> bytes);
  // 64 lower-case hexadecimal digits of everything added; the object is used up.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of(std::string_view text);
// Throws InvalidInput when the file cannot be opened.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace striate
