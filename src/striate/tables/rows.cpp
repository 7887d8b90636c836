#include "striate/tables/rows.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tables/formats.h"
#include "striate/tables/python_literal.h"

namespace striate {
namespace {

constexpr const char* kRowHint = "repair the row, or get the file anew from its publisher";

std::string as_text(const Row& row, const char* name, const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  bad_row(row, cat("\"", name, "\" is neither text nor a number"), kRowHint);
}

}  // namespace

std::unique_ptr<RowReader> open_rows(const std::filesystem::path& path, std::string_view member, std::string name) {
  if (name.empty()) name = path.filename().string();
  if (!is_valid_utf8(name)) name = printable(name);
  if (path.extension() == ".csv") return open_table(path, ',', true);
  if (path.extension() == ".tsv") return open_tsv_rows(path, std::move(name));
  if (path.extension() == ".parquet") return open_parquet_rows(path, std::move(name));
  return open_json_rows(path, member);
}

std::optional<Row> RowReader::next() {
  const std::size_t number = rows_++;
  std::optional<Row> row = read();
  if (row) row->number = number;
  return row;
}

bool has(const Row& row, const char* name) {
  const auto found = row.fields.find(name);
  return found != row.fields.end() && !found->is_null();
}

const nlohmann::json& field_of(const Row& row, const char* name) {
  if (!row.fields.is_object()) bad_row(row, "not an object", kRowHint);
  if (!has(row, name)) bad_row(row, cat("there is no \"", name, "\""), kRowHint);
  return row.fields.at(name);
}

std::string text_of(const Row& row, const char* name) {
  return as_text(row, name, field_of(row, name));
}

std::string text_of(const Row& row, const char* name, std::string_view otherwise) {
  return has(row, name) ? text_of(row, name) : std::string(otherwise);
}

std::int64_t whole_of(const Row& row, const char* name) {
  const nlohmann::json& value = field_of(row, name);
  if (value.is_number_integer()) return value.get<std::int64_t>();
  const std::string text = as_text(row, name, value);
  const bool digits = !text.empty() && text.size() < 18 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits) bad_row(row, cat("\"", name, "\" is not a whole number"), kRowHint);
  return std::stoll(text);
}

double number_of(const Row& row, const char* name) {
  const nlohmann::json& value = field_of(row, name);
  if (!value.is_number()) bad_row(row, cat("\"", name, "\" is not a number"), kRowHint);
  return value.get<double>();
}

std::vector<std::string> texts_of(const Row& row, const char* name) {
  const nlohmann::json& value = field_of(row, name);
  if (value.is_string() && value.get_ref<const std::string&>().starts_with('[')) {
    if (auto items = parse_python_list(value.get_ref<const std::string&>())) return *items;
  }
  if (!value.is_array()) return {as_text(row, name, value)};
  std::vector<std::string> texts;
  for (const nlohmann::json& item : value) texts.push_back(as_text(row, name, item));
  return texts;
}

void bad_row(const Row& row, const std::string& what, const std::string& hint) {
  throw BadRow(row.place, cat(row.place, ": ", what), hint.empty() ? kRowHint : hint);
}

}  // namespace striate
