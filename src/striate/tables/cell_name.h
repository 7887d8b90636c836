// The names of pictures inside a table: "MMBench_DEV_EN.tsv#12/image", "train.parquet#3/images/0".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace striate {

struct CellName {
  std::uint64_t row = 0;  // from 0, the header not counted
  std::string column{};
  std::optional<std::size_t> item{};  // of a cell that holds a list
};

std::string cell_name(std::string_view table, const CellName& cell);

// The cell that `name` is in `table`; nullopt where it is of another table or no cell's name. Digits after the column
// are an item.
std::optional<CellName> parse_cell_name(std::string_view name, std::string_view table);

}  // namespace striate
