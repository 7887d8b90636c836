#include "striate/answers/quantile.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace striate {
namespace {

constexpr double kOutside = 0.025;  // on either side

}  // namespace

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Interval middle_of(std::vector<double> values) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.empty()) return {kNone, kNone};
  std::ranges::sort(values);
  return {quantile(values, kOutside), quantile(values, 1 - kOutside)};
}

}  // namespace striate
