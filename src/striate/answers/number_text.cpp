#include "striate/answers/number_text.h"

#include <cmath>
#include <iomanip>
#include <sstream>

#include "striate/base/strings.h"

namespace striate {
namespace {

int decimals(const std::string& unit) {
  return unit == "%" ? 2 : (unit.empty() ? 4 : 1);
}

std::string fixed_text(double value, int digits) {
  if (!std::isfinite(value)) return "-";
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

}  // namespace

std::string metric_text(double value, const std::string& unit) {
  const std::string number = fixed_text(value, decimals(unit));
  if (number == "-" || unit.empty()) return number;
  return unit == "%" ? cat(number, "%") : cat(number, " ", unit);
}

std::string interval_text(const Interval& interval, const std::string& unit) {
  if (!std::isfinite(interval.low)) return "-";
  return cat(fixed_text(interval.low, decimals(unit)), " to ", fixed_text(interval.high, decimals(unit)));
}

std::string difference_text(double value, const std::string& unit) {
  return cat(value > 0 ? "+" : "", metric_text(value, difference_unit(unit)));
}

std::string difference_unit(const std::string& unit) {
  return unit == "%" ? "points" : unit;
}

std::string share_text(double share) {
  const std::string number = fixed_text(100 * share, 1);
  return number == "-" ? number : cat(number, "%");
}

}  // namespace striate
