// Values with their intervals, a row each: which differ, and from what.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace striate {

struct DotRow {
  std::string name;
  double value = 0;                                       // NaN: the row says that there is none
  double low = std::numeric_limits<double>::quiet_NaN();  // the interval; NaN: none is drawn
  double high = std::numeric_limits<double>::quiet_NaN();
  bool marked = false;  // in another colour and shape: what the plot is about
};

struct DotPlot {
  std::string title;
  std::string note{};    // what the values and the bars are
  std::string x_name{};  // "visual mean, %"
  std::vector<DotRow> rows{};
  double reference = std::numeric_limits<double>::quiet_NaN();  // a line is drawn there; NaN: none
  std::string reference_meaning{};                              // what it is: "all layers"
  std::string mark_meaning{};                                   // what a marked row is
};

// HTML for a page (report_page.h): the plot drawn for a wide and for a narrow page, a caption that says where the axis
// starts, and the numbers in a folded table.
std::string dot_plot_html(const DotPlot& plot);

}  // namespace striate
