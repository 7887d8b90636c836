// Numbers as reports and tables show them.
#pragma once

#include <string>

namespace striate {

// A number to about three significant digits, as short as it can be read: "0.0312", "1.20", "4.1e-06".
std::string short_number(double value);

// A value and its standard error, the error to two significant digits and the value to as many decimals.
struct Measured {
  std::string value, error;
};
Measured measured(double value, double error);

// `value` in a printf format of one double: "%.3f".
std::string formatted(double value, const char* format);

}  // namespace striate
