// The zip files that torch.save writes: every entry stored as it is, so that a tensor is a range of the mapped file.
//
// Zip libraries hand out copies of an entry's bytes, not where they lie; so the central directory (APPNOTE.TXT 6.3.10,
// sections 4.3.7 to 4.3.16, with zip64) is read here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "striate/base/files.h"

namespace striate {

struct ZipEntry {
  std::uint64_t offset;  // of its first byte in the file
  std::uint64_t size;    // bytes
  bool stored;           // as they are: neither compressed nor encrypted
  std::uint32_t crc;     // CRC-32 of them; torch.save writes 0 when it is told not to compute them
};

// Entries by name. Throws CorruptData when the file is not a zip file, is truncated, or an entry lies outside it or is
// named twice; Unsupported for archives in several parts.
std::unordered_map<std::string, ZipEntry> read_zip_directory(const MappedFile& file);

}  // namespace striate
