// Files of rows with pictures inside: Parquet where the input begins like one, else VLMEvalKit's TSV. Every row, every
// picture that a row names, and Python's lists inside the cells.
#include <set>

#include "striate/base/error.h"
#include "striate/tables/python_literal.h"
#include "striate/tables/rows.h"
#include "support.h"

namespace {

using namespace striate;

constexpr std::size_t kMostRows = 3000;     // a few bytes may stand for a million rows that are alike
constexpr std::size_t kMostPictures = 200;  // of one input

void collect(const nlohmann::json& value, const PictureSource* pictures, std::set<std::string>& names) {
  if (value.is_string()) {
    (void)parse_python_list(value.get_ref<const std::string&>());
    if (pictures != nullptr && names.size() < kMostPictures && pictures->has(value)) names.insert(value);
  }
  if (!value.is_structured()) return;
  for (const nlohmann::json& part : value) collect(part, pictures, names);
}

void read_table(const std::filesystem::path& file) {
  const auto reader = open_rows(file);
  const auto pictures = reader->pictures();
  std::set<std::string> names;
  for (std::size_t rows = 0; rows < kMostRows; ++rows) {
    try {
      const auto row = reader->next();
      if (!row) break;
      collect(row->fields, pictures.get(), names);
      if (row->fields.dump().empty()) fuzz::found("a row that is written as nothing");
    } catch (const BadRow& bad) {  // the rows behind it are read all the same
      if (bad.place().empty()) fuzz::found("a malformed row that is not named");
    }
  }
  for (const std::string& name : names) {
    try {
      if (!pictures->bytes(name)) fuzz::found("a picture that the source has and does not know");
    } catch (const Error& problem) {
      if (problem.exit_code() != 2) throw;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static striate::fuzz::Folder folder("tables");
  const std::string_view input = striate::fuzz::bytes_of(data, size);
  const auto file = folder.put(input.starts_with("PAR1") ? "t.parquet" : "t.tsv", input);
  striate::fuzz::read_or_refuse(input, [&] { read_table(file); });
  return 0;
}
