// Reading files: whole with a cap, or as a memory map. Writing is in output_file.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace striate {

// The whole file as bytes. Throws InvalidInput when it cannot be opened or is not a regular file, CorruptData when it
// is larger than `cap` or becomes shorter meanwhile.
std::string read_file(const std::filesystem::path& path, std::uint64_t cap = std::uint64_t{1} << 30);

// A read-only memory map of a whole file; the map lives as long as the object. Throws InvalidInput when the file is
// absent, not a regular file or unreadable. An empty file maps to an empty span.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, std::size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}

  std::filesystem::path path_;
  const std::byte* data_;
  std::size_t size_;
};

}  // namespace striate
