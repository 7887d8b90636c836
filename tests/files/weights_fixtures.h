// Files of weights made byte by byte, so that each test can damage what it wants.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"

namespace striate::test {

// `value` in `width` little-endian bytes.
inline std::string little_endian(std::uint64_t value, std::size_t width) {
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out += static_cast<char>((value >> (8 * i)) & 0xFF);
  return out;
}

// Without the fsync of write_file(), which thousands of mutated files would wait for.
inline void put_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  return little_endian(header.size(), 8) + header + data;
}

// One stored entry of a zip file.
struct ZipMember {
  std::string name;
  std::string data;
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
  bool no_crc = false;
};

inline std::string zip_bytes(const std::vector<ZipMember>& members) {
  std::string out;
  std::string directory;
  for (const ZipMember& member : members) {
    const std::uint64_t crc =
        member.no_crc ? 0 : crc32_z(0, reinterpret_cast<const Bytef*>(member.data.data()), member.data.size());
    const std::string common = little_endian(member.flags, 2) + little_endian(member.method, 2) + little_endian(0, 4) +
                               little_endian(crc, 4) + little_endian(member.data.size(), 4) +
                               little_endian(member.data.size(), 4) + little_endian(member.name.size(), 2);
    directory += "PK\x01\x02" + little_endian(20, 2) + little_endian(20, 2) + common + little_endian(0, 2) +
                 little_endian(0, 2) + little_endian(0, 8) + little_endian(out.size(), 4) + member.name;
    // Padding in the extra field puts the data at a multiple of 64, as torch.save does.
    const std::size_t begin = out.size() + 30 + member.name.size();
    const std::size_t padding = 4 + (64 - (begin + 4) % 64) % 64;
    out += "PK\x03\x04" + little_endian(20, 2) + common + little_endian(padding, 2) + member.name + "FB" +
           little_endian(padding - 4, 2) + std::string(padding - 4, 'Z') + member.data;
  }
  const std::size_t offset = out.size();
  return out + directory + "PK\x05\x06" + little_endian(0, 4) + little_endian(members.size(), 2) +
         little_endian(members.size(), 2) + little_endian(directory.size(), 4) + little_endian(offset, 4) +
         little_endian(0, 2);
}

// The opcodes torch.save emits, by protocol 2.
struct Pickle {
  static std::string text(std::string_view value) { return cat("X", little_endian(value.size(), 4), value); }
  static std::string integer(std::int64_t value) {
    return "\x8a\x08" + little_endian(static_cast<std::uint64_t>(value), 8);
  }
  static std::string global(std::string_view module, std::string_view name) {
    return cat("c", module, "\n", name, "\n");
  }
  static std::string tuple(const std::vector<std::string>& items) { return cat("(", join(items, ""), "t"); }
  static std::string integers(const std::vector<std::int64_t>& values) {
    std::vector<std::string> items;
    for (const std::int64_t value : values) items.push_back(integer(value));
    return tuple(items);
  }
  static std::string call(const std::string& function, const std::vector<std::string>& arguments) {
    return function + tuple(arguments) + "R";
  }
  static std::string ordered_dict() { return call(global("collections", "OrderedDict"), {}); }
  static std::string storage(std::string_view type, std::string_view key, std::int64_t size) {
    return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(size)}) + "Q";
  }
  static std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& shape,
                            const std::vector<std::int64_t>& strides) {
    return call(global("torch._utils", "_rebuild_tensor_v2"),
                {storage, integer(offset), integers(shape), integers(strides), "\x89", ordered_dict()});
  }
  static std::string parameter(const std::string& tensor) {
    return call(global("torch._utils", "_rebuild_parameter"), {tensor, "\x88", ordered_dict()});
  }
  static std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
    std::string out = "}(";
    for (const auto& [key, value] : items) out += text(key) + value;
    return out + "u";
  }
  static std::string whole(const std::string& value) { return cat("\x80\x02", value, "."); }
};

// A torch.save archive of `pickle` (a value, without protocol and stop) and the storages data/0, data/1, ...
inline std::string torch_bytes(const std::string& pickle, const std::vector<std::string>& storages = {},
                               const std::string& byte_order = "little") {
  std::vector<ZipMember> members{{.name = "archive/data.pkl", .data = Pickle::whole(pickle)},
                                 {.name = "archive/byteorder", .data = byte_order}};
  for (std::size_t i = 0; i < storages.size(); ++i) {
    members.push_back({.name = "archive/data/" + std::to_string(i), .data = storages[i]});
  }
  members.push_back({.name = "archive/version", .data = "3\n"});
  return zip_bytes(members);
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Runs `action` and expects an Error of `kind` whose one-line message has all `words`, with a hint.
inline void expect_error(ErrorKind kind, const std::vector<std::string>& words, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), kind) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const std::string& word : words)
      EXPECT_NE(message.find(word), std::string::npos) << message << "\nlacks " << word;
    EXPECT_FALSE(error.hint().empty()) << message;
    return;
  }
  ADD_FAILURE() << "no error, expected one with: " << join(words, ", ");
}

}  // namespace striate::test
