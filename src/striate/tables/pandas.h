// What pandas makes of cells, since harnesses read their tables with it.
#pragma once

#include <string_view>

namespace striate {

// Whether pandas.read_csv() takes the cell for missing (NaN) by its defaults: "", "NA", "N/A", "null", "None", "nan",
// ...
bool is_pandas_missing(std::string_view cell);

}  // namespace striate
