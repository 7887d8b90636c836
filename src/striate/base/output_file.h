// The two ways to write a file: whole on commit, or line by line to its end.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "striate/base/output_path.h"

namespace striate {

// Whether a file outlives a power cut once it is committed. kCache is for files that are checked when they are read
// again, or whose folder is synced as a whole: it does not wait for the disk.
enum class Durability { kDurable, kCache };

// Writes a file beside its destination and moves it there on commit(): readers see the old file or the whole new one.
// Destroyed without commit(), it leaves nothing behind; what a killed process leaves is removed when the same file is
// written again. Into a device it writes at once. Throws Resource when the disk is full or not writable, InvalidInput
// when another process is writing the same file, which the user named.
class AtomicFile {
 public:
  explicit AtomicFile(const OutputPath& destination, Durability durability = Durability::kDurable);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  // fsync, rename, fsync of the folder.
  void commit();

 private:
  OutputPath destination_;
  Durability durability_;
  std::filesystem::path temporary_;  // empty for a device
  int descriptor_ = -1;
};

// One AtomicFile written and committed.
void write_file(const OutputPath& path, std::string_view text, Durability durability = Durability::kDurable);

// A file that grows at its end (metrics, event files). Made where it is missing; what is there stays. Throws Resource.
class AppendFile {
 public:
  explicit AppendFile(const OutputPath& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view bytes);
  // Waits until all of it is on the disk.
  void sync();

 private:
  std::string shown_;
  int descriptor_ = -1;
};

}  // namespace striate
