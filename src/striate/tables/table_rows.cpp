// Tables of texts: CSV.
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"
#include "striate/tables/table_text.h"

namespace striate {
namespace {

constexpr const char* kTableRowHint = "repair the row, or get the file anew from its publisher";

class TableRows : public RowReader {
 public:
  TableRows(const std::filesystem::path& path, char separator, bool has_header)
      : file_(MappedFile::open(path)), text_(path.string(), text_of_file(*file_), separator) {
    if (!has_header || text_.at_end()) return;
    const std::string place = text_.place();
    for (const TableCell& cell : text_.row()) header_.push_back(cell.utf8(place, "the name of a column"));
  }

 private:
  std::optional<Row> read() override {
    while (!text_.at_end()) {
      const std::string place = text_.place();
      const std::vector<TableCell> row = text_.row();
      if (row.size() == 1 && row[0].raw.empty()) continue;  // an empty line
      if (!header_.empty() && row.size() != header_.size()) {
        throw BadRow(place, cat(place, ": ", row.size(), " cells, where the header has ", header_.size()),
                     kTableRowHint);
      }
      Row out{nlohmann::json::object(), {}, place};
      for (std::size_t i = 0; i < row.size(); ++i) {
        out.fields[header_.empty() ? std::to_string(i) : header_[i]] = row[i].utf8(place, cat("cell ", i + 1));
      }
      return out;
    }
    return std::nullopt;
  }

  static std::string_view text_of_file(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
  }

  std::shared_ptr<const MappedFile> file_;
  TableText text_;
  std::vector<std::string> header_{};
};

}  // namespace

std::unique_ptr<RowReader> open_table(const std::filesystem::path& path, char separator, bool has_header) {
  return std::make_unique<TableRows>(path, separator, has_header);
}

}  // namespace striate
