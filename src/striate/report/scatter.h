// Points in a plane of two measured values, numbered, with their intervals.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace striate {

struct ScatterPoint {
  std::string name;
  double x = 0, y = 0;
  double x_low = std::numeric_limits<double>::quiet_NaN(), x_high = std::numeric_limits<double>::quiet_NaN();
  double y_low = std::numeric_limits<double>::quiet_NaN(), y_high = std::numeric_limits<double>::quiet_NaN();
};

struct Scatter {
  std::string title;
  std::string note{};  // what the values and the bars are, and where good is
  std::string x_name{}, y_name{};
  std::vector<ScatterPoint> points{};  // those that are not finite are in the table alone
};

// HTML for a page (report_page.h): the plane drawn for a wide and for a narrow page with a line through 0 of either
// axis, every point with its number in the legend, and the values in a folded table.
std::string scatter_html(const Scatter& scatter);

}  // namespace striate
