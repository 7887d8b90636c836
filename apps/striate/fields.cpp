#include "apps/striate/fields.h"

#include <iomanip>
#include <iostream>

#include "striate/base/strings.h"

namespace striate::app {

void print_field(const std::string& name, const std::string& value, int width) {
  std::cout << "  " << std::left << std::setw(width) << name << printable(value) << '\n';
}

}  // namespace striate::app
