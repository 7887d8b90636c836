// Files of rows: JSON Lines, JSON, CSV, VLMEvalKit's TSV and Parquet, read one row at a time within bounds.
//
// Who reads rows knows nothing of the formats: columns are fields, and a cell that holds a picture is a text, the
// picture's name, by which pictures() hands over its bytes. A cell with several pictures is a list of names. So a table
// with pictures inside reads like one beside a picture folder, and a file of many gigabytes costs an index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "striate/base/error.h"
#include "striate/tables/picture_source.h"

namespace striate {

struct Row {
  nlohmann::json fields;  // an object, except in JSON files whose elements are something else
  std::string key{};      // in a JSON object: the name of the member that this row is
  std::string place{};    // "test.jsonl:12" or "questions.json, element 12": begins every message about it
  std::size_t number{};   // of its file, from 0; malformed rows before it count
};

// Thrown for a row that is malformed, where the rows behind it can be read all the same.
class BadRow : public Error {
 public:
  // `message` begins with `place`, the row's.
  BadRow(std::string place, const std::string& message, const std::string& hint)
      : Error(ErrorKind::kCorruptData, message, hint), place_(std::move(place)) {}
  const std::string& place() const { return place_; }

 private:
  std::string place_;
};

class RowReader {
 public:
  virtual ~RowReader() = default;
  // The next row; nullopt at the end. Throws BadRow for one that is malformed: the next call passes it over. Throws
  // CorruptData, naming the place, where the rest of the file cannot be read.
  std::optional<Row> next();
  // The pictures that the rows name; nullptr where the format has none inside. They may be asked for while rows are
  // read, and after the reader is gone.
  virtual std::shared_ptr<const PictureSource> pictures() const { return nullptr; }

 private:
  // As next(); `number` is set there.
  virtual std::optional<Row> read() = 0;

  std::size_t rows_ = 0;  // asked for
};

// The rows of a file, by its name: .csv is a table with a header, .tsv one of VLMEvalKit, .parquet Parquet; anything
// else is JSON, in one of these forms:
//   JSON Lines             a row a line
//   [row, row, ...]        a row an element
//   {"name": row, ...}     a row a member, its name in Row::key
//   {"member": [...]}      the elements of that member, where `member` is given and the file has it
// The form is told by the content. Files are mapped, not loaded: rows are parsed one by one. `name` is what the names
// of its pictures begin with (tables/cell_name.h); without one, the file's own. Throws InvalidInput where the file
// cannot be opened, CorruptData where it is none of these, Unsupported for Parquet in a library that was built without
// it.
std::unique_ptr<RowReader> open_rows(const std::filesystem::path& path, std::string_view member = {},
                                     std::string name = {});

// A table with `separator` between its cells (RFC 4180: a quoted cell may hold separators, line breaks and doubled
// quotes). Without a header, cells are named "0", "1", ...
std::unique_ptr<RowReader> open_table(const std::filesystem::path& path, char separator, bool has_header);

// --- Fields of rows; each throws BadRow, naming row and field, where there is none of that kind ---

std::string text_of(const Row& row, const char* name);  // text, or a number as it is written
std::string text_of(const Row& row, const char* name, std::string_view otherwise);
std::int64_t whole_of(const Row& row, const char* name);
double number_of(const Row& row, const char* name);
const nlohmann::json& field_of(const Row& row, const char* name);
// A list of texts; one text is a list of one, and a Python literal ("['a', 'b']") what it says.
std::vector<std::string> texts_of(const Row& row, const char* name);
bool has(const Row& row, const char* name);  // and it is not null

// The error for a row that is wrong: "PLACE: WHAT".
[[noreturn]] void bad_row(const Row& row, const std::string& what, const std::string& hint = {});

}  // namespace striate
