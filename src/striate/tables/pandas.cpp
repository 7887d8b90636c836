#include "striate/tables/pandas.h"

#include <algorithm>
#include <array>

namespace striate {

bool is_pandas_missing(std::string_view cell) {
  // STR_NA_VALUES of pandas/_libs/parsers.pyx (pandas 1.0 to 3.1).
  static constexpr std::array<std::string_view, 19> kMissing = {
      "",     "#N/A", "#N/A N/A", "#NA",  "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
      "<NA>", "N/A",  "NA",       "NULL", "NaN",     "None",     "n/a",  "nan",  "null"};
  return std::ranges::find(kMissing, cell) != kMissing.end();
}

}  // namespace striate
