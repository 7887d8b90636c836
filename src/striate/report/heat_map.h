// Tables of numbers whose cells are coloured by value.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace striate {

// One column of numbers.
struct HeatColumn {
  std::string name;
  std::string meaning{};         // shown where the pointer rests, and read aloud
  std::vector<double> values{};  // one per row; NaN: there is none
  std::vector<double> errors{};  // standard errors, or empty
};

// What the colours of a table compare.
enum class HeatScale {
  kColumn,  // each column from its own lowest to its own highest; the highest of each is marked
  kTable,   // all cells with each other
};

struct HeatMap {
  std::string title;
  std::string note{};  // what the numbers are, in a sentence or two
  std::string row_name{};
  std::vector<std::string> rows{};
  std::vector<HeatColumn> columns{};
  HeatScale scale = HeatScale::kColumn;
};

struct HeatMapPage {
  std::string title;
  std::string subtitle{};
  std::vector<std::pair<std::string, std::string>> facts{};  // name and value
  std::vector<std::string> warnings{};
  std::vector<HeatMap> maps{};
};

// One HTML page, self-contained (html.h). Every cell shows its number, so that colour is never the only carrier of
// meaning. Throws InternalError when a column has not one value per row.
std::string heat_map_page(const HeatMapPage& page);

// A number to about three significant digits, as short as it can be read: "0.0312", "1.20", "4.1e-06".
std::string short_number(double value);

// A value and its standard error, the error to two significant digits and the value to as many decimals.
struct Measured {
  std::string value, error;
};
Measured measured(double value, double error);

}  // namespace striate
