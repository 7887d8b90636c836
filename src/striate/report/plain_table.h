// Tables of words and numbers, plain or folded under a line that opens them.
#pragma once

#include <string>
#include <vector>

namespace striate {

struct PlainColumn {
  std::string name;
  bool number = false;  // its cells stand at the right
};

struct PlainTable {
  std::string name;  // for those who hear the page
  std::vector<PlainColumn> columns{};
  std::vector<std::vector<std::string>> rows{};  // texts, one per column; the first is the row's head
};

// HTML for a page (report_page.h). Throws InternalError when a row does not have one cell per column.
std::string plain_table_html(const PlainTable& table);

// `html` under a line that a click opens; on paper it is open.
std::string folded_html(const std::string& line, const std::string& html);

}  // namespace striate
