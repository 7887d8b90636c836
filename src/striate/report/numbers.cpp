#include "striate/report/numbers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "striate/base/strings.h"

namespace striate {

std::string formatted(double value, const char* format) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (value == 0) return "0";
  if (size < 1e-3 || size >= 1e9) return formatted(value, "%.1e");
  if (size < 1) return formatted(value, "%.4f");
  return size < 100 ? formatted(value, "%.2f") : formatted(value, "%.0f");
}

Measured measured(double value, double error) {
  constexpr double kSmallest = 1e-6;  // below, decimals would only be zeros
  if (!(std::abs(error) >= kSmallest)) return {short_number(value), short_number(error)};
  const int decimals = std::max(0, 1 - static_cast<int>(std::floor(std::log10(std::abs(error)))));
  const std::string format = cat("%.", decimals, "f");
  return {formatted(value, format.c_str()), formatted(error, format.c_str())};
}

}  // namespace striate
