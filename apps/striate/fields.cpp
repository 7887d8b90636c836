#include "apps/striate/fields.h"

#include <cmath>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "striate/base/strings.h"

namespace striate::app {

void print_field(const std::string& name, const std::string& value, int width) {
  std::cout << "  " << std::left << std::setw(width) << name << printable(value) << '\n';
}

std::string rate_text(double per_second) {
  constexpr double kWhole = 99.95;  // from here on three digits leave no decimals
  if (per_second >= kWhole) return cat(human_count(static_cast<std::uint64_t>(std::llround(per_second))), "/s");
  std::ostringstream text;
  text << std::setprecision(3) << per_second << "/s";
  return text.str();
}

}  // namespace striate::app
