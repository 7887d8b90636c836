#include "striate/tables/table_text.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

constexpr std::size_t kMostCell = 64'000'000;  // bytes of a cell that becomes text
constexpr std::size_t kMostCells = 4096;       // of one row
constexpr const char* kTableHint = "repair the row, or get the file anew from its publisher";

}  // namespace

std::string_view TableCell::view(std::string& copy) const {
  if (!raw.starts_with('"')) return raw;
  const std::size_t end = raw.find('"', 1);
  if (end == raw.size() - 1) return raw.substr(1, raw.size() - 2);
  bool quoted = true;
  for (std::size_t i = 1; i < raw.size(); ++i) {
    const bool doubled = quoted && raw[i] == '"' && i + 1 < raw.size() && raw[i + 1] == '"';
    if (quoted && raw[i] == '"' && !doubled) {
      quoted = false;
      continue;
    }
    copy += raw[i];
    if (doubled) ++i;
  }
  return copy;
}

std::string TableCell::text(const std::string& place) const {
  if (raw.size() > kMostCell) throw BadRow(place, cat(place, ": a cell has over 64 MB"), kTableHint);
  std::string copy;
  const std::string_view seen = view(copy);
  if (seen.data() != copy.data()) copy.assign(seen);
  return copy;
}

std::string TableCell::utf8(const std::string& place, const std::string& what) const {
  std::string copy = text(place);
  if (!is_valid_utf8(copy)) throw BadRow(place, cat(place, ": ", what, " is not UTF-8"), kTableHint);
  return copy;
}

TableText::TableText(std::string name, std::string_view text, char separator)
    : name_(std::move(name)), text_(text), separator_(separator) {
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
}

std::string TableText::place() const {
  return cat(name_, ":", line_);
}

std::vector<TableCell> TableText::row() {
  const std::string begins = place();
  std::vector<TableCell> row;
  bool more = true;
  while (more) {
    if (row.size() == kMostCells) throw corrupt_data(cat(begins, ": too many cells"), kTableHint);
    row.push_back(cell(begins));
    more = at_ < text_.size() && text_[at_] == separator_;
    if (at_ < text_.size()) end_of_cell();
  }
  return row;
}

void TableText::end_of_cell() {
  if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
  if (text_[at_] == '\n') ++line_;
  ++at_;
}

TableCell TableText::cell(const std::string& place) {
  const std::size_t from = at_;
  if (at_ < text_.size() && text_[at_] == '"') {
    for (++at_;; at_ += 2) {
      const std::size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) {
        throw corrupt_data(cat(place, ": a quoted cell does not end"), kTableHint);
      }
      line_ += static_cast<std::size_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                   text_.begin() + static_cast<std::ptrdiff_t>(quote), '\n'));
      at_ = quote;
      if (quote + 1 >= text_.size() || text_[quote + 1] != '"') break;
    }
    ++at_;
  }
  // Both ends are found by memchr, which passes over base64 at the speed of memory.
  if (line_end_ < at_ || line_end_ == 0) line_end_ = std::min(text_.find('\n', at_), text_.size());
  at_ = std::min(text_.substr(0, line_end_).find(separator_, at_), line_end_);
  std::string_view raw = text_.substr(from, at_ - from);
  const bool ends_line = at_ < text_.size() && text_[at_] == '\n';
  if (ends_line && raw.ends_with('\r')) raw.remove_suffix(1);
  return {raw};
}

}  // namespace striate
