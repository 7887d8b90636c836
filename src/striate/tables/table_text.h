// The text of a table, cut into cells without copying them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

// A cell as it stands in the file. One that begins with '"' runs to the quote that ends it, and may go on behind it.
struct TableCell {
  std::string_view raw;

  // Without quotes; doubled ones are one. Throws BadRow, beginning with `place`, where it has over 64 MB.
  std::string text(const std::string& place) const;
  // The same; throws BadRow, which names `what`, where it is not UTF-8.
  std::string utf8(const std::string& place, const std::string& what) const;
  // As text(), but without a copy where there is nothing to take away; `copy` holds it otherwise.
  std::string_view view(std::string& copy) const;
};

// RFC 4180 and pandas' dialect: a quoted cell may hold separators, line breaks and doubled quotes.
class TableText {
 public:
  // `name` begins messages; `text` must outlive it. A byte order mark is passed over.
  TableText(std::string name, std::string_view text, char separator);

  bool at_end() const { return at_ >= text_.size(); }
  std::size_t line() const { return line_; }  // of the next row, from 1
  std::string place() const;                  // "table.tsv:12"
  // The cells of the next row, of which there is at least one. Throws CorruptData where a quoted cell does not end or a
  // row has over 4096 cells.
  std::vector<TableCell> row();

 private:
  TableCell cell(const std::string& place);
  void end_of_cell();

  std::string name_;
  std::string_view text_;
  char separator_;
  std::size_t at_ = 0, line_ = 1;
  std::size_t line_end_ = 0;  // of the line that at_ is in, where it is known: at_ <= line_end_
};

}  // namespace striate
