// A file without a name, for what need not stay in memory: it is gone when the object goes, however the process ends.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace striate {

// Lies in the system's folder for temporary files (TMPDIR, or /tmp). One thread appends; any may read what is there.
class ScratchFile {
 public:
  // Throws Resource.
  ScratchFile();
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  // Throws Resource when the disk is full.
  void append(std::string_view bytes);
  // Fills `into` with the bytes from `offset` on, which were appended. Throws Resource.
  void read_at(std::uint64_t offset, std::span<char> into) const;

 private:
  int descriptor_ = -1;
};

}  // namespace striate
