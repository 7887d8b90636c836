#include "striate/files/zip_archive.h"

#include <algorithm>
#include <cstring>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/files/byte_reader.h"
#include "striate/files/mapped_tensor.h"

namespace striate {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kZip64End = 0x06064b50;
constexpr std::uint32_t kZip64Locator = 0x07064b50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kZip64EndBytes = 56;
constexpr std::size_t kLocatorBytes = 20;
constexpr std::size_t kLongestComment = 0xFFFF;
constexpr std::uint32_t kInZip64 = 0xFFFFFFFF;  // the value is in the zip64 extra field
constexpr const char* kDamagedHint = "the file is truncated or damaged: download it again";

struct Directory {
  std::uint64_t entries;
  std::uint64_t bytes;
  std::uint64_t offset;
};

class ZipReader {
 public:
  explicit ZipReader(const MappedFile& file) : bytes_(file.bytes()), name_(file.path().string()) {}

  std::unordered_map<std::string, ZipEntry> read() const {
    const Directory directory = find_directory();
    if (directory.offset > bytes_.size() || directory.bytes > bytes_.size() - directory.offset) {
      throw corrupt_data(cat(name_, ": its zip directory lies outside the file"), kDamagedHint);
    }
    if (directory.entries > directory.bytes / kCentralBytes) {
      throw corrupt_data(cat(name_, ": its zip directory is too small for ", directory.entries, " entries"),
                         kDamagedHint);
    }
    ByteReader reader = reader_at(directory.offset, directory.bytes, "its zip directory");
    std::unordered_map<std::string, ZipEntry> entries;
    entries.reserve(static_cast<std::size_t>(directory.entries));
    for (std::uint64_t i = 0; i < directory.entries; ++i) {
      auto [entry_name, entry] = read_entry(reader);
      if (!entries.emplace(entry_name, entry).second) {
        throw corrupt_data(cat(name_, ": its zip directory names ", quoted_name(entry_name), " twice"), kDamagedHint);
      }
    }
    return entries;
  }

 private:
  ByteReader reader_at(std::uint64_t offset, std::uint64_t size, const char* what) const {
    return {bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size)), name_, what};
  }

  bool has_signature(std::size_t offset, std::uint32_t signature) const {
    return bytes_.size() - offset >= 4 && reader_at(offset, 4, "its zip end record").u32() == signature;
  }

  // The end record is followed only by a comment, whose length it states.
  std::size_t find_end() const {
    if (bytes_.size() >= kEndBytes) {
      const std::size_t last = bytes_.size() - kEndBytes;
      const std::size_t first = last - std::min(last, kLongestComment);
      for (std::size_t offset = last + 1; offset-- > first;) {
        if (!has_signature(offset, kEnd)) continue;
        if (reader_at(offset + 20, 2, "its zip end record").u16() == last - offset) return offset;
      }
    }
    throw corrupt_data(cat(name_, ": not a PyTorch file, or a truncated one: it has no zip end record"), kDamagedHint);
  }

  Directory find_directory() const {
    const std::size_t end = find_end();
    if (end >= kLocatorBytes && has_signature(end - kLocatorBytes, kZip64Locator)) {
      return zip64_directory(end - kLocatorBytes);
    }
    ByteReader reader = reader_at(end + 4, kEndBytes - 4, "its zip end record");
    const std::uint32_t disk = reader.u16();
    const std::uint32_t directory_disk = reader.u16();
    const std::uint64_t entries_here = reader.u16();
    const std::uint64_t entries = reader.u16();
    check_single_disk(disk == 0 && directory_disk == 0 && entries_here == entries);
    const std::uint64_t size = reader.u32();
    return {entries, size, reader.u32()};
  }

  Directory zip64_directory(std::size_t locator) const {
    ByteReader reader = reader_at(locator + 4, kLocatorBytes - 4, "its zip64 locator");
    const std::uint32_t record_disk = reader.u32();
    const std::uint64_t offset = reader.u64();
    if (offset > locator || locator - offset < kZip64EndBytes ||
        !has_signature(static_cast<std::size_t>(offset), kZip64End)) {
      throw corrupt_data(cat(name_, ": its zip64 end record is not where its locator says"), kDamagedHint);
    }
    ByteReader record = reader_at(offset + 16, kZip64EndBytes - 16, "its zip64 end record");
    const std::uint32_t disk = record.u32();
    const std::uint32_t directory_disk = record.u32();
    const std::uint64_t entries_here = record.u64();
    const std::uint64_t entries = record.u64();
    check_single_disk(record_disk == 0 && disk == 0 && directory_disk == 0 && entries_here == entries);
    const std::uint64_t size = record.u64();
    return {entries, size, record.u64()};
  }

  void check_single_disk(bool single) const {
    if (!single) throw unsupported(cat(name_, ": a zip file in several parts"), "join the parts first");
  }

  std::pair<std::string, ZipEntry> read_entry(ByteReader& reader) const {
    if (reader.u32() != kCentralHeader) reader.fail("has no entry where one should begin");
    reader.take(4);  // versions
    const std::uint16_t flags = reader.u16();
    const std::uint16_t method = reader.u16();
    reader.take(4);  // time and date
    const std::uint32_t crc = reader.u32();
    std::uint64_t packed = reader.u32();
    std::uint64_t size = reader.u32();
    const std::uint16_t name_length = reader.u16();
    const std::uint16_t extra_length = reader.u16();
    const std::uint16_t comment_length = reader.u16();
    reader.take(8);  // disk and attributes
    std::uint64_t header = reader.u32();
    const std::string name(reader.text(name_length));
    read_zip64_extra(reader.take(extra_length), size, packed, header);
    reader.take(comment_length);
    const bool stored = method == 0 && (flags & 1) == 0;
    if (stored && packed != size) reader.fail(cat("gives two sizes for the stored entry ", quoted_name(name)));
    return {name, {data_offset(name, header, packed), packed, stored, crc}};
  }

  // Replaces, in the order the format fixes, those of the three values that say they are in the zip64 field.
  void read_zip64_extra(std::span<const std::byte> extra, std::uint64_t& size, std::uint64_t& packed,
                        std::uint64_t& header) const {
    ByteReader fields(extra, name_, "a zip entry's extra field");
    while (fields.remaining() >= 4) {
      const std::uint16_t id = fields.u16();
      ByteReader field(fields.take(fields.u16()), name_, "a zip64 field");
      if (id != 1) continue;
      for (std::uint64_t* value : {&size, &packed, &header}) {
        if (*value == kInZip64) *value = field.u64();
      }
      return;
    }
  }

  // The local header repeats the name and has an extra field of its own length before the data.
  std::uint64_t data_offset(const std::string& name, std::uint64_t header, std::uint64_t size) const {
    const auto outside = [&] {
      return corrupt_data(
          cat(name_, ": its entry ", quoted_name(name), " lies outside the file or has no header there"), kDamagedHint);
    };
    if (header > bytes_.size() || bytes_.size() - header < kLocalBytes) throw outside();
    ByteReader local = reader_at(header, bytes_.size() - header, "a zip entry");
    if (local.u32() != kLocalHeader) throw outside();
    local.take(kLocalBytes - 8);
    const std::uint16_t name_length = local.u16();
    const std::uint16_t extra_length = local.u16();
    if (local.text(name_length) != name) throw outside();
    local.take(extra_length);
    local.take(size);
    return header + local.position() - size;
  }

  std::span<const std::byte> bytes_;
  std::string name_;
};

}  // namespace

std::unordered_map<std::string, ZipEntry> read_zip_directory(const MappedFile& file) {
  return ZipReader(file).read();
}

}  // namespace striate
