// Reports for people: one line for each field.
#pragma once

#include <string>

namespace striate::app {

// Prints "  name          value" to standard output, the value in column 2 + `width`, with its control characters
// escaped.
void print_field(const std::string& name, const std::string& value, int width = 14);

// How many a second, in three digits: "0.5/s", "12.3/s", "1.23 k/s".
std::string rate_text(double per_second);

}  // namespace striate::app
