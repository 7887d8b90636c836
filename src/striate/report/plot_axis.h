// A linear axis of a plot whose values are not whole numbers. Included by the sources of plots.
#pragma once

#include <string>
#include <vector>

namespace striate {

class PlotAxis {
 public:
  // Round numbers that cover the finite ones of `values`, drawn from `start` to `end`.
  PlotAxis(const std::vector<double>& values, double start, double end);

  double place(double value) const;
  const std::vector<double>& ticks() const { return ticks_; }
  bool covers(double value) const { return value >= ticks_.front() && value <= ticks_.back(); }

 private:
  std::vector<double> ticks_;  // two or more
  double start_, end_;
};

// A coordinate with one decimal.
std::string plot_place(double value);
// A tick's number: "0.25", "80".
std::string tick_label(double value);
// "12.3 (11.0 to 13.4)"; "-" where there is no value.
std::string value_and_interval(double value, double low, double high);

}  // namespace striate
