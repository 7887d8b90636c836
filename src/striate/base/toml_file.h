// TOML documents out of files, every key and value with its line: whoever reads them can say where something is wrong.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace striate {

struct TomlEntry;
struct TomlValue;
using TomlList = std::vector<TomlValue>;
using TomlTable = std::vector<TomlEntry>;  // by key in ascending order

struct TomlValue {
  // Of a date or a time: nothing.
  std::variant<std::monostate, std::string, std::int64_t, double, bool, TomlList, TomlTable> content;
  std::int64_t line = 0;  // from 1

  // nullptr where it is something else.
  template <typename Content>
  const Content* as() const {
    return std::get_if<Content>(&content);
  }
};

struct TomlEntry {
  std::string key;
  std::int64_t line = 0;  // of the key, from 1
  TomlValue value;
};

// Throws InvalidInput (absent) and CorruptData (not TOML, or larger than 1 MB), with file, line and column.
TomlTable read_toml_file(const std::filesystem::path& path);

}  // namespace striate
