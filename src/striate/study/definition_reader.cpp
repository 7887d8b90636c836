#include "striate/study/definition_reader.h"

#include <algorithm>
#include <cmath>

#include "striate/base/strings.h"

namespace striate::study {
namespace {

std::string with_dashes(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return key;
}

std::string nearest_hint(const std::string& word, const std::vector<std::string>& allowed) {
  const std::string nearest = nearest_name(word, allowed);
  return nearest.empty() ? cat("known: ", join(allowed, ", ")) : cat("did you mean \"", nearest, "\"?");
}

}  // namespace

DefinitionReader::DefinitionReader(const TomlTable& entries, std::string file, std::string table)
    : entries_(entries), file_(std::move(file)), table_(std::move(table)) {}

const TomlEntry* DefinitionReader::find_known(const std::string& key) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const TomlEntry& entry) { return with_dashes(entry.key) == key; });
  return found == entries_.end() ? nullptr : &*found;
}

const TomlEntry* DefinitionReader::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  return find_known(key);
}

std::int64_t DefinitionReader::line() const {
  std::int64_t first = 0;
  for (const TomlEntry& entry : entries_) first = first == 0 ? entry.line : std::min(first, entry.line);
  return first;
}

std::string DefinitionReader::where(const std::string& key) const {
  const TomlEntry* entry = find_known(key);
  const std::int64_t at = entry != nullptr ? entry->line : line();
  return at > 0 ? cat(file_, ":", at) : file_;
}

Error DefinitionReader::bad(const std::string& key, const std::string& what, const std::string& hint) const {
  return invalid_input(cat(where(key), ": ", key, table_.empty() ? std::string() : cat(" of ", table_), ": ", what),
                       hint);
}

std::vector<const TomlValue*> DefinitionReader::items(const std::string& key) {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return {};
  const auto* list = entry->value.as<TomlList>();
  if (list == nullptr) return {&entry->value};
  if (list->empty()) throw bad(key, "the list is empty", "leave the key out, or give at least one value");
  std::vector<const TomlValue*> out;
  for (const TomlValue& item : *list) out.push_back(&item);
  return out;
}

std::string DefinitionReader::text_of(const TomlValue& value, const std::string& key) const {
  if (const auto* text = value.as<std::string>()) return *text;
  if (const auto* whole = value.as<std::int64_t>()) return std::to_string(*whole);
  throw bad(key, "not a text", cat("write ", key, " = \"...\""));
}

double DefinitionReader::number_in(const TomlValue& value, const std::string& key, double least, double most) const {
  double number = std::nan("");
  if (const auto* whole = value.as<std::int64_t>()) number = static_cast<double>(*whole);
  if (const auto* fraction = value.as<double>()) number = *fraction;
  if (number >= least && number <= most) return number;
  throw bad(key, cat("not a number from ", least, " to ", most), "give a number in that range");
}

std::int64_t DefinitionReader::whole_in(const TomlValue& value, const std::string& key, std::int64_t least,
                                        std::int64_t most) const {
  const auto* whole = value.as<std::int64_t>();
  if (whole != nullptr && *whole >= least && *whole <= most) return *whole;
  throw bad(key, cat("not a whole number from ", least, " to ", most), "give a whole number in that range");
}

bool DefinitionReader::has(const std::string& key) {
  return find(key) != nullptr;
}

std::optional<std::string> DefinitionReader::text(const std::string& key) {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* text = entry->value.as<std::string>();
  if (text == nullptr) throw bad(key, "not a text", cat("write ", key, " = \"...\""));
  return *text;
}

std::optional<std::int64_t> DefinitionReader::whole(const std::string& key, std::int64_t least, std::int64_t most) {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  return whole_in(entry->value, key, least, most);
}

std::optional<double> DefinitionReader::number(const std::string& key, double least, double most) {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  return number_in(entry->value, key, least, most);
}

std::optional<bool> DefinitionReader::flag(const std::string& key) {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return std::nullopt;
  const auto* flag = entry->value.as<bool>();
  if (flag == nullptr) throw bad(key, "neither true nor false", cat("write ", key, " = true"));
  return *flag;
}

std::optional<std::string> DefinitionReader::word(const std::string& key, const std::vector<std::string>& allowed) {
  const std::optional<std::string> word = text(key);
  if (!word || std::find(allowed.begin(), allowed.end(), *word) != allowed.end()) return word;
  throw bad(key, cat("\"", *word, "\" is unknown"), nearest_hint(*word, allowed));
}

std::optional<std::vector<std::string>> DefinitionReader::texts(const std::string& key) {
  if (!has(key)) return std::nullopt;
  std::vector<std::string> out;
  for (const TomlValue* item : items(key)) out.push_back(text_of(*item, key));
  return out;
}

std::optional<std::vector<std::string>> DefinitionReader::words(const std::string& key,
                                                                const std::vector<std::string>& allowed) {
  const std::optional<std::vector<std::string>> out = texts(key);
  for (const std::string& word : out.value_or(std::vector<std::string>())) {
    if (std::find(allowed.begin(), allowed.end(), word) != allowed.end()) continue;
    throw bad(key, cat("\"", word, "\" is unknown"), nearest_hint(word, allowed));
  }
  return out;
}

std::optional<std::vector<std::int64_t>> DefinitionReader::wholes(const std::string& key, std::int64_t least,
                                                                  std::int64_t most) {
  if (!has(key)) return std::nullopt;
  std::vector<std::int64_t> out;
  for (const TomlValue* item : items(key)) out.push_back(whole_in(*item, key, least, most));
  return out;
}

std::optional<std::vector<double>> DefinitionReader::numbers(const std::string& key, double least, double most) {
  if (!has(key)) return std::nullopt;
  std::vector<double> out;
  for (const TomlValue* item : items(key)) out.push_back(number_in(*item, key, least, most));
  return out;
}

std::optional<std::vector<bool>> DefinitionReader::flags(const std::string& key) {
  if (!has(key)) return std::nullopt;
  std::vector<bool> out;
  for (const TomlValue* item : items(key)) {
    const auto* flag = item->as<bool>();
    if (flag == nullptr) throw bad(key, "neither true nor false", cat("write ", key, " = [false, true]"));
    out.push_back(*flag);
  }
  return out;
}

bool DefinitionReader::table(const std::string& key, const std::function<void(DefinitionReader&)>& read) {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return false;
  const auto* table = entry->value.as<TomlTable>();
  if (table == nullptr) throw bad(key, "not a table", cat("write [", key, "] and its keys below it"));
  DefinitionReader reader(*table, file_, cat("[", key, "]"));
  read(reader);
  reader.finish();
  return true;
}

void DefinitionReader::tables(const std::string& key, const std::function<void(DefinitionReader&)>& read) {
  const TomlEntry* entry = find(key);
  if (entry == nullptr) return;
  const Error unfit = bad(key, "not a list of tables", cat("write [[", key, "]] and its keys below it"));
  const auto* list = entry->value.as<TomlList>();
  if (list == nullptr) throw Error(unfit);
  for (const TomlValue& item : *list) {
    const auto* table = item.as<TomlTable>();
    if (table == nullptr) throw Error(unfit);
    DefinitionReader reader(*table, file_, cat("[[", key, "]]"));
    read(reader);
    reader.finish();
  }
}

void DefinitionReader::finish() const {
  std::vector<std::string> seen;
  for (const TomlEntry& entry : entries_) {
    const std::string key = with_dashes(entry.key);
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
      throw invalid_input(cat(file_, ":", entry.line, ": \"", entry.key, "\" is given twice"),
                          "keep one of them: dashes and underscores are the same");
    }
    seen.push_back(key);
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    throw invalid_input(cat(file_, ":", entry.line, ": unknown key \"", entry.key, "\"",
                            table_.empty() ? std::string() : cat(" in ", table_)),
                        nearest_hint(key, known_));
  }
}

}  // namespace striate::study
