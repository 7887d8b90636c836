// From numbers to places in a chart's drawing. Included by the sources of charts.
#pragma once

#include <vector>

#include "striate/report/line_chart.h"

namespace striate {

// A drawing's size and margins, in its own units.
struct ChartFrame {
  double width, height, left, right, top, bottom;
};

class ChartAxes {
 public:
  ChartAxes(const LineChart& chart, const ChartFrame& frame);

  double across(double x) const;
  double down(double y) const;  // of a value that drawn() is true for
  bool drawn(double y) const;   // finite, and positive on a logarithmic axis
  double unit() const;          // how far apart whole numbers of x stand

  std::vector<double> x_ticks, y_ticks;  // y's first and last are where the axis starts and ends

 private:
  ChartFrame frame_;
  bool logarithmic_;
  double x_low_ = 0, x_high_ = 1;
};

}  // namespace striate
