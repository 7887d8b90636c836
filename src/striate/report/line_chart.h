// Line charts as SVG, with intervals and marked places.
#pragma once

#include <string>
#include <vector>

namespace striate {

struct LineSeries {
  std::string name;
  std::vector<double> x{};
  std::vector<double> y{};            // of the same length; NaN: a gap
  std::vector<double> low{};          // the interval of each point, drawn as a bar; or empty
  std::vector<double> high{};         // NaN: a point without one
  std::vector<std::string> labels{};  // of each point, shown where the pointer rests and in the table; or empty
};

struct LineChart {
  std::string title;
  std::string note{};  // what the numbers and the bars are
  std::string x_name{};
  std::string y_name{};
  std::vector<LineSeries> series{};
  std::vector<double> y_covered{};  // values that the vertical axis reaches in any case: of charts that are compared
  bool logarithmic = false;         // the vertical axis; values that are not positive are gaps then
  std::vector<double> marked_x{};   // places behind which a band is drawn
  std::string mark_meaning{};       // what the bands are
  bool table = true;                // the numbers as a table below
  bool folded = false;              // the table opens with a click
};

// HTML for a page (report_page.h): the chart drawn for a wide and for a narrow page, its legend, a caption that says
// where the vertical axis starts, and the numbers. Series differ in dash and marker as well as in colour, and stand a
// little beside each other, so that both are seen where they agree. Throws InternalError when a series does not have
// one y (interval, label) per x.
std::string line_chart_html(const LineChart& chart);

// Round numbers that cover low to high, `about` of them or a few more or less: {0, 0.5, 1}. One where they are equal.
std::vector<double> axis_ticks(double low, double high, int about);

// The same for a logarithmic axis, 0 < low <= high: 1, 2 and 5 times powers of ten, powers alone over many decades.
std::vector<double> log_axis_ticks(double low, double high);

}  // namespace striate
