#include "striate/base/byte_size.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {

std::uint64_t parse_bytes(const std::string& text, const std::string& flag) {
  const char* const begin = text.c_str();
  char* end = nullptr;
  const double number = std::strtod(begin, &end);
  const std::string unit(trim(std::string_view(end)));
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1.0},
      {"B", 1.0},
      {"kB", 1e3},
      {"KB", 1e3},
      {"MB", 1e6},
      {"GB", 1e9},
      {"TB", 1e12},
      {"KiB", 1024.0},
      {"MiB", 1024.0 * 1024},
      {"GiB", 1024.0 * 1024 * 1024},
  };
  for (const auto& [name, factor] : kUnits) {
    if (end == begin || unit != name) continue;
    const double bytes = number * factor;
    if (!(bytes >= 1.0 && bytes < 1e18)) break;
    return static_cast<std::uint64_t>(bytes);
  }
  throw invalid_input(cat(flag, " ", text, " is not a size"), "write it as 5GB, 500MB or 2GiB");
}

}  // namespace striate
