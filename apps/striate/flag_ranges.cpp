#include "apps/striate/flag_ranges.h"

#include <charconv>
#include <string>

#include "striate/base/strings.h"

namespace striate::app {
namespace {

// A check that says `what` the flag takes where `text` is no such number.
template <typename Number>
CLI::Validator within(Number least, Number most, const char* what) {
  return {[=](const std::string& text) {
            std::string_view digits = text;
            if (digits.starts_with('+')) digits.remove_prefix(1);
            Number value{};
            const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
            const bool whole = error == std::errc() && end == digits.data() + digits.size();
            if (whole && value >= least && value <= most) return std::string();
            return cat(text, " is not ", what, " from ", least, " to ", most);
          },
          ""};
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  return within<std::int64_t>(least, most, "a whole number");
}

CLI::Validator number(double least, double most) {
  return within<double>(least, most, "a number");
}

}  // namespace striate::app
