#include "striate/report/heat_map.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/report/html.h"
#include "striate/report/numbers.h"

namespace striate {
namespace {

// Beyond this share of the scale the other text colour has the greater contrast, with the colours of either theme (4.5
// to 1 at the worst).
constexpr double kTextFlips = 0.74;
constexpr std::size_t kDenseColumns = 14;  // tables with more are set small

// The different finite values of some cells, ascending.
class Ranks {
 public:
  void add(double value) {
    if (std::isfinite(value)) values_.push_back(value);
  }
  void sort() {
    std::sort(values_.begin(), values_.end());
    values_.erase(std::unique(values_.begin(), values_.end()), values_.end());
  }
  bool empty() const { return values_.empty(); }
  bool differ() const { return values_.size() > 1; }
  double low() const { return values_.front(); }
  double high() const { return values_.back(); }
  // 0 for the lowest value, 1 for the highest, equal steps between; the middle where all are equal.
  double place(double value) const {
    if (!differ()) return 0.5;
    const auto found = std::lower_bound(values_.begin(), values_.end(), value);
    return static_cast<double>(found - values_.begin()) / static_cast<double>(values_.size() - 1);
  }

 private:
  std::vector<double> values_;
};

// The ranks that the cells of a table are coloured by.
class TableRanks {
 public:
  explicit TableRanks(const HeatMap& map) : among_(map.ranks) {
    columns.resize(map.columns.size());
    rows_.resize(map.rows.size());
    for (std::size_t i = 0; i < map.columns.size(); ++i) {
      for (std::size_t row = 0; row < map.rows.size(); ++row) {
        const double value = map.columns[i].values[row];
        for (Ranks* ranks : {&whole_, &columns[i], &rows_[row]}) ranks->add(value);
      }
    }
    whole_.sort();
    for (Ranks& ranks : columns) ranks.sort();
    for (Ranks& ranks : rows_) ranks.sort();
  }
  bool empty() const { return whole_.empty(); }
  const Ranks& of(std::size_t row, std::size_t column) const {
    if (among_ == RankAmong::kColumn) return columns[column];
    return among_ == RankAmong::kRow ? rows_[row] : whole_;
  }

  std::vector<Ranks> columns;

 private:
  RankAmong among_;
  std::vector<Ranks> rows_;
  Ranks whole_;
};

// The class and title of a cell that is the highest of its column or the lowest of its row.
std::string end_mark(RankAmong among, const Ranks& ranks, double value) {
  if (!ranks.differ()) return "";
  if (among == RankAmong::kColumn && value == ranks.high()) return " end top\" title=\"highest of this column";
  if (among == RankAmong::kRow && value == ranks.low()) return " end bottom\" title=\"lowest of this row";
  return "";
}

std::string cell(const HeatColumn& column, std::size_t row, RankAmong among, const Ranks& ranks, bool dense) {
  const double value = column.values[row];
  if (!std::isfinite(value)) return "<td class=\"n\" title=\"no value\">\u2013</td>";
  const double place = ranks.place(value);
  const double error = column.errors.empty() ? std::numeric_limits<double>::quiet_NaN() : column.errors[row];
  std::string out = cat("<td class=\"c", place > kTextFlips ? " d" : "", end_mark(among, ranks, value),
                        "\" style=\"--v:", formatted(place, "%.3f"), "\">");
  if (dense || !std::isfinite(error)) return cat(out, dense ? formatted(value, "%.2f") : short_number(value), "</td>");
  const Measured text = measured(value, error);
  return cat(out, text.value, "<small>\u00B1 ", text.error, "</small></td>");
}

// A line may end behind each underscore.
std::string breakable(const std::string& name) {
  return join(split(name, '_'), "_<wbr>");
}

std::string head(const HeatMap& map) {
  std::string out = cat("<thead><tr><th scope=\"col\">", html_escape(map.row_name), "</th>");
  for (const HeatColumn& column : map.columns) {
    out += cat("<th scope=\"col\"", column.marked ? " class=\"in\"" : "",
               column.meaning.empty() ? "" : cat(" title=\"", html_escape(column.meaning), "\""), ">",
               breakable(html_escape(column.name)), "</th>");
  }
  return out + "</tr></thead>\n";
}

// Each column's own range, in words.
std::string foot(const HeatMap& map, const TableRanks& ranks) {
  if (map.ranks != RankAmong::kColumn) return "";
  std::string out = "<tfoot><tr><th scope=\"row\">lowest to highest</th>";
  for (const Ranks& column : ranks.columns) {
    out += column.empty() ? std::string("<td>\u2013</td>")
                          : cat("<td>", short_number(column.low()), " to ", short_number(column.high()), "</td>");
  }
  return out + "</tr></tfoot>\n";
}

std::string scale_line(const HeatMap& map) {
  const auto ends = [&]() -> std::pair<std::string, std::string> {
    switch (map.ranks) {
      case RankAmong::kColumn:
        return {"lowest of its column", "highest of its column (\u25B2)"};
      case RankAmong::kRow:
        return {"lowest of its row (\u25BC)", "highest of its row"};
      case RankAmong::kTable:
        return {"lowest of the table", "highest of the table"};
    }
    throw internal_error("a scale that is not known");
  }();
  return cat("<div class=\"scale\"><span>colour is rank: ", ends.first, "</span><i aria-hidden=\"true\"></i><span>",
             ends.second, "</span></div>\n");
}

std::string meanings(const HeatMap& map) {
  std::string out;
  for (const HeatColumn& column : map.columns) {
    if (column.meaning.empty()) continue;
    out += cat("<dt>", breakable(html_escape(column.name)), "</dt><dd>", html_escape(column.meaning), "</dd>\n");
  }
  return out.empty() ? out : cat("<dl class=\"meanings\">", out, "</dl>\n");
}

bool any_marked(const HeatMap& map) {
  return std::find(map.marked_rows.begin(), map.marked_rows.end(), true) != map.marked_rows.end() ||
         std::any_of(map.columns.begin(), map.columns.end(), [](const HeatColumn& column) { return column.marked; });
}

void check_lengths(const HeatMap& map) {
  for (const HeatColumn& column : map.columns) {
    const bool errors_fit = column.errors.empty() || column.errors.size() == map.rows.size();
    if (column.values.size() != map.rows.size() || !errors_fit)
      throw internal_error(cat("heat map: the column ", column.name, " does not have one value per row"));
  }
  if (!map.marked_rows.empty() && map.marked_rows.size() != map.rows.size())
    throw internal_error("heat map: the marks do not have one value per row");
}

}  // namespace

std::string heat_map_html(const HeatMap& map) {
  check_lengths(map);
  const TableRanks ranks(map);
  const bool dense = map.columns.size() > kDenseColumns;
  std::string out = cat("<section>\n<h2>", html_escape(map.title), "</h2>\n");
  if (!map.note.empty()) out += cat("<p class=\"quiet\">", html_escape(map.note), "</p>\n");
  if (any_marked(map))
    out += cat("<div class=\"strip\"><i class=\"in\"></i><span class=\"quiet\">", html_escape(map.mark_meaning),
               "</span></div>\n");
  if (!ranks.empty()) out += scale_line(map);
  out += cat("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", html_escape(map.title), "\"><table",
             dense ? " class=\"dense\"" : "", ">\n", head(map), "<tbody>\n");
  for (std::size_t row = 0; row < map.rows.size(); ++row) {
    const bool marked = !map.marked_rows.empty() && map.marked_rows[row];
    out += cat("<tr><th scope=\"row\"", marked ? " class=\"in\"" : "", ">", html_escape(map.rows[row]), "</th>");
    for (std::size_t i = 0; i < map.columns.size(); ++i) {
      out += cell(map.columns[i], row, map.ranks, ranks.of(row, i), dense);
    }
    out += "</tr>\n";
  }
  return cat(out, "</tbody>\n", foot(map, ranks), "</table></div>\n", meanings(map), "</section>\n");
}

}  // namespace striate
