#include "striate/report/plot_axis.h"

#include <algorithm>
#include <cmath>

#include "striate/base/strings.h"
#include "striate/report/line_chart.h"
#include "striate/report/numbers.h"

namespace striate {

PlotAxis::PlotAxis(const std::vector<double>& values, double start, double end) : start_(start), end_(end) {
  std::vector<double> finite;
  for (const double value : values) {
    if (std::isfinite(value)) finite.push_back(value);
  }
  if (finite.empty()) finite = {0, 1};
  const auto [low, high] = std::ranges::minmax(finite);
  const double room = high > low ? 0 : std::max(std::abs(high) * 0.05, 0.5);
  ticks_ = axis_ticks(low - room, high + room, 5);
}

double PlotAxis::place(double value) const {
  return start_ + (value - ticks_.front()) / (ticks_.back() - ticks_.front()) * (end_ - start_);
}

std::string plot_place(double value) {
  return cat(std::round(value * 10) / 10);
}

std::string tick_label(double value) {
  return formatted(std::abs(value) < 1e-12 ? 0 : value, "%.6g");
}

std::string value_and_interval(double value, double low, double high) {
  if (!std::isfinite(value)) return "-";
  if (!std::isfinite(low) || !std::isfinite(high)) return short_number(value);
  return cat(short_number(value), " (", short_number(low), " to ", short_number(high), ")");
}

}  // namespace striate
