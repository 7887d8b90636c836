#include "striate/report/axes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace striate {
namespace {

struct AxisRange {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

constexpr std::size_t kMostPlaces = 10;  // which an axis names one by one
constexpr double kNearZero = 0.4;  // a linear axis starts at 0 where the lowest is below this share of the highest

std::vector<double> vertical_ticks(const LineChart& chart, AxisRange y) {
  if (y.empty()) return axis_ticks(0, 1, 5);
  if (chart.logarithmic) return log_axis_ticks(y.low, y.high);
  if (y.low > 0 && y.low < kNearZero * y.high) y.low = 0;
  if (y.low == y.high) return axis_ticks(y.low - 0.5, y.high + 0.5, 2);
  return axis_ticks(y.low, y.high, 5);
}

}  // namespace

ChartAxes::ChartAxes(const LineChart& chart, const ChartFrame& frame) : frame_(frame), logarithmic_(chart.logarithmic) {
  AxisRange x, y;
  std::set<double> places;
  for (const LineSeries& series : chart.series) {
    for (const double value : series.x) x.add(value);
    for (const auto* values : {&series.y, &series.low, &series.high}) {
      for (const double value : *values) {
        if (drawn(value)) y.add(value);
      }
    }
    places.insert(series.x.begin(), series.x.end());
  }
  for (const double value : chart.y_covered) {
    if (drawn(value)) y.add(value);
  }
  y_ticks = vertical_ticks(chart, y);
  if (x.empty()) {
    x_ticks = {0, 1};
    return;
  }
  x_low_ = x.low;
  x_high_ = x.high;
  if (places.size() <= kMostPlaces) {
    x_ticks.assign(places.begin(), places.end());
    return;
  }
  for (const double tick : axis_ticks(x.low, x.high, 7)) {
    if (tick >= x.low && tick <= x.high) x_ticks.push_back(tick);
  }
}

double ChartAxes::across(double x) const {
  // Half a unit is free at both ends, for bands and for series that stand beside each other.
  const double span = x_high_ - x_low_ + 1;
  return frame_.left + (x - x_low_ + 0.5) / span * (frame_.width - frame_.left - frame_.right);
}

double ChartAxes::unit() const {
  return across(1) - across(0);
}

bool ChartAxes::drawn(double y) const {
  return std::isfinite(y) && (!logarithmic_ || y > 0);
}

double ChartAxes::down(double y) const {
  const auto scaled = [&](double value) { return logarithmic_ ? std::log(value) : value; };
  const double low = scaled(y_ticks.front()), span = scaled(y_ticks.back()) - low;
  const double share = span > 0 ? (scaled(y) - low) / span : 0.5;
  return frame_.height - frame_.bottom - share * (frame_.height - frame_.top - frame_.bottom);
}

std::vector<double> axis_ticks(double low, double high, int about) {
  if (!(high > low)) return {low};
  const double rough = (high - low) / about;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const auto first = static_cast<std::int64_t>(std::floor(low / step + 1e-9));
  const auto last = static_cast<std::int64_t>(std::ceil(high / step - 1e-9));
  for (std::int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::vector<double> log_axis_ticks(double low, double high) {
  constexpr double kManyDecades = 3;
  const bool many = std::log10(high / low) > kManyDecades;
  std::vector<double> ticks;
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  for (int power = first; power <= last; ++power) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (many && factor > 1) continue;
      ticks.push_back(factor * std::pow(10.0, power));
    }
  }
  // What covers the values and no more.
  while (ticks.size() > 2 && ticks[1] <= low * (1 + 1e-9)) ticks.erase(ticks.begin());
  while (ticks.size() > 2 && ticks[ticks.size() - 2] >= high * (1 - 1e-9)) ticks.pop_back();
  return ticks;
}

}  // namespace striate
