// Settings from a file: TOML with one key for every flag, or the run.json of an earlier run.
//
//   layers = "paper"          # `layers` paper
//   lora-r = 128              # dashes or underscores
//   freeze-projector = true
//   lora-targets = ["q_proj", "v_proj"]
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace striate {

// One setting and its place in the file.
struct ConfigEntry {
  std::string key;    // a flag's name without leading dashes, words joined by dashes
  std::string value;  // as it would be written on the command line; the items of a list are joined by commas
  std::string where;  // "tune.toml:12", "run.json"
};

// Reads a file ending in .toml, or in .json (its object "arguments"). Every key must be in `known`.
// Throws InvalidInput (absent; a key that is not known, with file, line and the nearest that is; a table or a date
// where a value should be; another ending) and CorruptData (not TOML or JSON, with the line).
std::vector<ConfigEntry> read_config_file(const std::filesystem::path& path, const std::vector<std::string>& known);

}  // namespace striate
