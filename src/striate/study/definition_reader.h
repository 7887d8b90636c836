// One table of a definition being read: values by key, and an error for every key that nobody asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/toml_file.h"

namespace striate::study {

// Dashes and underscores in keys are the same. Every function throws InvalidInput, with file and line, for a value of
// another kind or out of range.
class DefinitionReader {
 public:
  // `file` and `table` ("[[grid]]"; empty: the whole file) are for errors. `entries` must outlive it.
  DefinitionReader(const TomlTable& entries, std::string file, std::string table);

  bool has(const std::string& key);
  std::optional<std::string> text(const std::string& key);
  std::optional<std::int64_t> whole(const std::string& key, std::int64_t least, std::int64_t most);
  std::optional<double> number(const std::string& key, double least, double most);
  std::optional<bool> flag(const std::string& key);
  // One of `allowed`.
  std::optional<std::string> word(const std::string& key, const std::vector<std::string>& allowed);
  // A value or a list of them, at least one; nullopt where the key is absent. Whole numbers are texts too.
  std::optional<std::vector<std::string>> texts(const std::string& key);
  std::optional<std::vector<std::string>> words(const std::string& key, const std::vector<std::string>& allowed);
  std::optional<std::vector<std::int64_t>> wholes(const std::string& key, std::int64_t least, std::int64_t most);
  std::optional<std::vector<double>> numbers(const std::string& key, double least, double most);
  std::optional<std::vector<bool>> flags(const std::string& key);
  // [key] and [[key]]: `read` is given each table, whose unknown keys are refused when it returns. Whether it is there.
  bool table(const std::string& key, const std::function<void(DefinitionReader&)>& read);
  void tables(const std::string& key, const std::function<void(DefinitionReader&)>& read);

  // Throws InvalidInput for a key that no function above was asked for, naming the nearest that was, and for a key that
  // is there twice, with a dash and with an underscore.
  void finish() const;

  // "study.toml:12" of a key that is there, or of the table.
  std::string where(const std::string& key) const;
  std::int64_t line() const;
  Error bad(const std::string& key, const std::string& what, const std::string& hint) const;

 private:
  const TomlEntry* find(const std::string& key);
  const TomlEntry* find_known(const std::string& key) const;
  std::vector<const TomlValue*> items(const std::string& key);
  double number_in(const TomlValue& value, const std::string& key, double least, double most) const;
  std::int64_t whole_in(const TomlValue& value, const std::string& key, std::int64_t least, std::int64_t most) const;
  std::string text_of(const TomlValue& value, const std::string& key) const;

  const TomlTable& entries_;
  std::string file_, table_;
  std::vector<std::string> known_;
};

}  // namespace striate::study
