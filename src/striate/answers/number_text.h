// Scores as people read them.
#pragma once

#include <string>

#include "striate/answers/bootstrap.h"

namespace striate {

// "59.33%", "1510.7 points", "4.2170"; "-" for a number that is not defined.
std::string metric_text(double value, const std::string& unit);
// "53.67 to 64.67".
std::string interval_text(const Interval& interval, const std::string& unit);
// The same of a difference: "+1.20 points", where percent become points.
std::string difference_text(double value, const std::string& unit);
// What a difference of numbers in `unit` is in: points of percent.
std::string difference_unit(const std::string& unit);
// "97.1%" of 0.971.
std::string share_text(double share);

}  // namespace striate
