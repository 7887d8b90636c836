#include "striate/train/config_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/base/toml_file.h"
#include "striate/model/config.h"

namespace striate {
namespace {

// Keys may be written with underscores, as in most configuration files.
std::string flag_name(std::string_view key) {
  std::string name(key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

Error unfit(const std::string& where, const std::string& key) {
  return invalid_input(cat(where, ": \"", key, "\" is not a string, number, boolean or list of those"),
                       "each key is a flag of the command, e.g. lora-r = 128");
}

std::string number_text(double value) {
  return nlohmann::json(value).dump();  // the shortest text that reads back as the same number
}

std::string scalar_text(const TomlValue& value, const std::string& where, const std::string& key) {
  if (const auto* text = value.as<std::string>()) return *text;
  if (const auto* integer = value.as<std::int64_t>()) return std::to_string(*integer);
  if (const auto* number = value.as<double>()) return number_text(*number);
  if (const auto* boolean = value.as<bool>()) return *boolean ? "true" : "false";
  throw unfit(where, key);
}

std::string scalar_text(const nlohmann::json& value, const std::string& where, const std::string& key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  throw unfit(where, key);
}

// A scalar, or a list of scalars joined by commas.
template <typename Node, typename Items>
std::string value_text(const Node& node, const Items* items, const std::string& where, const std::string& key) {
  if (items == nullptr) return scalar_text(node, where, key);
  std::vector<std::string> texts;
  for (const auto& item : *items) texts.push_back(scalar_text(item, where, key));
  return join(texts, ",");
}

std::vector<ConfigEntry> read_toml(const std::filesystem::path& path) {
  std::vector<ConfigEntry> entries;
  for (const TomlEntry& entry : read_toml_file(path)) {
    const std::string where = cat(path.string(), ":", entry.line);
    entries.push_back(
        {flag_name(entry.key), value_text(entry.value, entry.value.as<TomlList>(), where, entry.key), where});
  }
  return entries;
}

std::vector<ConfigEntry> read_run(const std::filesystem::path& path) {
  const nlohmann::json root = read_json_file(path, kHistoryJson);
  if (!root.is_object() || !root.contains("arguments") || !root.at("arguments").is_object()) {
    throw invalid_input(path.string() + ": the file has no object \"arguments\"",
                        "give the run.json that striate train wrote");
  }
  const nlohmann::json& arguments = root.at("arguments");
  std::vector<ConfigEntry> entries;
  for (const auto& item : arguments.items()) {
    const auto* list = item.value().is_array() ? &item.value() : nullptr;
    entries.push_back(
        {flag_name(item.key()), value_text(item.value(), list, path.string(), item.key()), path.string()});
  }
  return entries;
}

void check_known(const std::vector<ConfigEntry>& entries, const std::vector<std::string>& known) {
  std::set<std::string> seen;
  for (const ConfigEntry& entry : entries) {
    if (!seen.insert(entry.key).second) {
      throw invalid_input(cat(entry.where, ": \"", entry.key, "\" is given twice"), "keep one of them");
    }
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    const std::string nearest = nearest_name(entry.key, known);
    throw invalid_input(
        cat(entry.where, ": unknown key \"", entry.key, "\""),
        nearest.empty() ? "see `help`: each key is a flag of the command" : cat("did you mean \"", nearest, "\"?"));
  }
}

}  // namespace

std::vector<ConfigEntry> read_config_file(const std::filesystem::path& path, const std::vector<std::string>& known) {
  const std::string ending = path.extension().string();
  if (ending != ".toml" && ending != ".json") {
    throw invalid_input(path.string() + ": not a .toml or .json file", "give a TOML file, or the run.json of a run");
  }
  const std::vector<ConfigEntry> entries = ending == ".toml" ? read_toml(path) : read_run(path);
  check_known(entries, known);
  return entries;
}

}  // namespace striate
