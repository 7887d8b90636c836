// Line charts as SVG inside a self-contained page (html.h).
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace striate {

struct LineSeries {
  std::string name;
  std::vector<double> x{};
  std::vector<double> y{};            // of the same length; NaN: a gap
  std::vector<std::string> labels{};  // of each point, shown where the pointer rests and in the table; or empty
};

struct LineChart {
  std::string title;
  std::string note{};  // what the numbers are
  std::string x_name{};
  std::string y_name{};
  std::vector<LineSeries> series{};
};

struct LineChartPage {
  std::string title;
  std::string subtitle{};
  std::vector<std::pair<std::string, std::string>> facts{};  // name and value
  std::vector<LineChart> charts{};
};

// One HTML page: every chart with its legend and, below, its numbers as a table. Series differ in dash and marker as
// well as in colour. Throws InternalError when a series has not one y (or label) per x.
std::string line_chart_page(const LineChartPage& page);

// Round numbers that cover low to high, `about` of them or a few more or less: {0, 0.5, 1}. One where they are equal.
std::vector<double> axis_ticks(double low, double high, int about);

}  // namespace striate
