#include "striate/tables/cell_name.h"

#include <charconv>

namespace striate {
namespace {

template <typename Number>
std::optional<Number> whole_number(std::string_view digits) {
  Number number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string cell_name(std::string_view table, const CellName& cell) {
  std::string name(table);
  name.append("#").append(std::to_string(cell.row)).append("/").append(cell.column);
  if (cell.item) name.append("/").append(std::to_string(*cell.item));
  return name;
}

std::optional<CellName> parse_cell_name(std::string_view name, std::string_view table) {
  if (!name.starts_with(table) || name.size() <= table.size() || name[table.size()] != '#') return std::nullopt;
  name.remove_prefix(table.size() + 1);
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto row = whole_number<std::uint64_t>(name.substr(0, slash));
  if (!row) return std::nullopt;
  CellName cell{*row, std::string(name.substr(slash + 1)), std::nullopt};
  const std::size_t last = cell.column.rfind('/');
  if (last != std::string::npos) {
    cell.item = whole_number<std::size_t>(std::string_view(cell.column).substr(last + 1));
    if (cell.item) cell.column.resize(last);
  }
  return cell;
}

}  // namespace striate
