// Tables of numbers whose cells are coloured by rank.
#pragma once

#include <string>
#include <vector>

namespace striate {

// One column of numbers.
struct HeatColumn {
  std::string name;
  std::string meaning{};         // a sentence or two, shown below the table
  std::vector<double> values{};  // one per row; NaN: there is none
  std::vector<double> errors{};  // standard errors, or empty
  bool marked = false;           // its head is drawn as a marked row's is
};

// Among which cells a cell is ranked. Rank, unlike the value itself, is not flattened by one extreme cell.
enum class RankAmong {
  kColumn,  // its column; the highest of each column is marked
  kRow,     // its row; the lowest of each row is marked
  kTable,   // all cells
};

struct HeatMap {
  std::string title;
  std::string note{};  // what the numbers are, in a sentence or two
  std::string row_name{};
  std::vector<std::string> rows{};
  std::vector<HeatColumn> columns{};
  RankAmong ranks = RankAmong::kColumn;
  std::vector<bool> marked_rows{};  // one per row, or empty
  std::string mark_meaning{};       // what a marked row or column is: "a layer of the region"
};

// HTML for a page (report_page.h). Every cell shows its number, so that colour is never the only carrier of meaning.
// Throws InternalError when a column does not have one value per row.
std::string heat_map_html(const HeatMap& map);

}  // namespace striate
