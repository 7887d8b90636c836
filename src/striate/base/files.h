// Files: reading with a cap, memory maps, and writing that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace striate {

// The whole file as bytes. Throws InvalidInput when it cannot be opened, CorruptData when it is larger than `cap`.
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

// Writes a file beside its destination and moves it there on commit(): readers see the old file or the whole new one.
// Destroyed without commit(), it leaves nothing behind. Throws ResourceError when the disk is full or not writable.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path destination);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  // fsync, rename, fsync of the folder.
  void commit();

 private:
  std::filesystem::path destination_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

// One AtomicFile written and committed.
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace striate
