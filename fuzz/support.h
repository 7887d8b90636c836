// What the harnesses share: the rule that every parser is held to, and files for those parsers that open files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace striate::fuzz {

// The input, as the bytes of a file.
inline std::string_view bytes_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Runs `read`, which may come to an end or throw an Error for the user: one that blames the input (exit status 2), on
// one printable line of at most 2000 bytes, with a hint. Everything else says why and aborts, as a crash would.
// `input` is what the parser was given: words of exceptions are looked for in messages unless they come from there.
void read_or_refuse(std::string_view input, const std::function<void()>& read);

// Says `why` and aborts: for what must hold after a parser has read its input.
[[noreturn]] void found(const std::string& why);

// A folder below $TMPDIR for the files of one input after another. scripts/fuzz.sh makes $TMPDIR in memory and removes
// it, whatever became of the process.
class Folder {
 public:
  explicit Folder(const std::string& name);
  const std::filesystem::path& path() const { return path_; }
  // Makes or replaces a file; returns where it is.
  std::filesystem::path put(const std::string& name, std::string_view bytes);
  void remove_files();

  // Makes the folder hold the files that an input describes and no others:
  //   === config.json
  //   {"hidden_size": 64, ...}
  //   === preprocessor_config.json
  //   {...}
  // A file's bytes end before the line break in front of the next "=== " line. Sections with names outside `allowed`,
  // and what stands before the first, are passed over. Returns the files' names.
  std::set<std::string> unpack(std::string_view input, const std::set<std::string>& allowed);

 private:
  std::filesystem::path path_;
  std::set<std::string> files_;
};

// The sections of such an input by name; of two with one name the last.
std::map<std::string, std::string_view> sections(std::string_view input);

}  // namespace striate::fuzz
