#include "striate/report/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/report/html.h"

namespace striate {
namespace {

constexpr const char* kStyle = R"css(
.warning { border-left: 4px solid var(--mark); padding: .3rem .8rem; background: var(--panel); }
.scroll { overflow-x: auto; margin: .8rem 0; border: 1px solid var(--line); border-radius: 6px; background: var(--panel); }
table { border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums; }
th { font-weight: 600; padding: .3rem .5rem; text-align: right; white-space: nowrap; color: var(--quiet); }
thead th { white-space: normal; vertical-align: bottom; border-bottom: 1px solid var(--line); color: var(--ink); }
tbody th { position: sticky; left: 0; background: var(--panel); }
tfoot td, tfoot th { color: var(--quiet); font-size: .8rem; text-align: right; padding: .3rem .5rem; white-space: nowrap;
  border-top: 1px solid var(--line); }
td.c { min-width: 4.2rem; padding: .22rem .5rem; text-align: right; border-radius: 3px; white-space: nowrap;
  background: var(--low); background: color-mix(in oklab, var(--high) calc(var(--v) * 100%), var(--low));
  color: var(--on-low); }
td.c.d { color: var(--on-high); }
td.n { text-align: right; padding: .22rem .5rem; color: var(--quiet); }
td.c small { display: block; font-size: .72rem; }
td.top { outline: 2px solid var(--mark); outline-offset: -1px; font-weight: 700; }
td.top::before { content: "\25B2\00A0"; font-size: .7em; }
table.dense { border-spacing: 1px; font-size: .74rem; }
table.dense td.c, table.dense td.n { min-width: 2.5rem; padding: .12rem .25rem; }
table.dense th { padding: .12rem .35rem; }
.scale { display: flex; align-items: center; gap: .6rem; font-size: .85rem; color: var(--quiet); }
.scale i { width: 12rem; max-width: 40vw; height: .8rem; border-radius: 3px;
  background: linear-gradient(in oklab to right, var(--low), var(--high)); border: 1px solid var(--line); }
@media print { .scroll { overflow: visible; } td.c { print-color-adjust: exact; } }
)css";

// Beyond this share of the scale the other text colour has the greater contrast, with the colours of either theme (4.5
// to 1 at the worst).
constexpr double kTextFlips = 0.74;
constexpr std::size_t kDenseColumns = 14;  // tables with more are set small

// The lowest and highest of the numbers there are.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(const std::vector<double>& values) {
    for (const double value : values) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  bool empty() const { return low > high; }
  // Where `value` lies, 0 to 1; the middle where all are equal.
  double place(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

std::string fixed(double value, const char* format) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string cell(const HeatColumn& column, std::size_t row, const Range& range, bool mark, bool dense) {
  const double value = column.values[row];
  if (!std::isfinite(value)) return "<td class=\"n\" title=\"no value\">\u2013</td>";
  const double place = range.place(value);
  const bool top = mark && value == range.high && range.high > range.low;
  const double error = column.errors.empty() ? std::numeric_limits<double>::quiet_NaN() : column.errors[row];
  std::string out =
      cat("<td class=\"c", place > kTextFlips ? " d" : "", top ? " top" : "", "\" style=\"--v:", fixed(place, "%.3f"),
          "\"", top ? " title=\"highest of this column\"" : "", ">");
  if (dense || !std::isfinite(error)) return cat(out, dense ? fixed(value, "%.2f") : short_number(value), "</td>");
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
    out += cat("<th scope=\"col\"", column.meaning.empty() ? "" : cat(" title=\"", html_escape(column.meaning), "\""),
               ">", breakable(html_escape(column.name)), "</th>");
  }
  return out + "</tr></thead>\n";
}

// Each column's own scale, in words.
std::string foot(const HeatMap& map, const std::vector<Range>& ranges) {
  std::string out = "<tfoot><tr><th scope=\"row\">lowest to highest</th>";
  for (std::size_t i = 0; i < map.columns.size(); ++i) {
    out += ranges[i].empty() ? std::string("<td>\u2013</td>")
                             : cat("<td>", short_number(ranges[i].low), " to ", short_number(ranges[i].high), "</td>");
  }
  return out + "</tr></tfoot>\n";
}

std::string scale_line(const HeatMap& map, const Range& whole) {
  const bool shared = map.scale == HeatScale::kTable;
  const std::string low = shared ? short_number(whole.low) : "lowest of the column";
  const std::string high = shared ? short_number(whole.high) : "highest of the column (\u25B2)";
  return cat("<div class=\"scale\"><span>", low, "</span><i aria-hidden=\"true\"></i><span>", high, "</span></div>\n");
}

std::string table(const HeatMap& map) {
  const bool shared = map.scale == HeatScale::kTable;
  const bool dense = map.columns.size() > kDenseColumns;
  Range whole;
  std::vector<Range> ranges(map.columns.size());
  for (std::size_t i = 0; i < map.columns.size(); ++i) {
    const HeatColumn& column = map.columns[i];
    const bool errors_fit = column.errors.empty() || column.errors.size() == map.rows.size();
    if (column.values.size() != map.rows.size() || !errors_fit)
      throw internal_error("a column has not a value per row");
    whole.add(column.values);
    ranges[i].add(column.values);
  }
  std::string out = cat("<section>\n<h2>", html_escape(map.title), "</h2>\n");
  if (!map.note.empty()) out += cat("<p class=\"quiet\">", html_escape(map.note), "</p>\n");
  if (!whole.empty()) out += scale_line(map, whole);
  out += cat("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", html_escape(map.title), "\"><table",
             dense ? " class=\"dense\"" : "", ">\n", head(map), "<tbody>\n");
  for (std::size_t row = 0; row < map.rows.size(); ++row) {
    out += cat("<tr><th scope=\"row\">", html_escape(map.rows[row]), "</th>");
    for (std::size_t i = 0; i < map.columns.size(); ++i) {
      out += cell(map.columns[i], row, shared ? whole : ranges[i], !shared, dense);
    }
    out += "</tr>\n";
  }
  return cat(out, "</tbody>\n", shared ? std::string() : foot(map, ranges), "</table></div>\n</section>\n");
}

}  // namespace

std::string short_number(double value) {
  const double size = std::abs(value);
  if (value == 0) return "0";
  if (size < 1e-3 || size >= 1e5) return fixed(value, "%.1e");
  if (size < 1) return fixed(value, "%.4f");
  return size < 100 ? fixed(value, "%.2f") : fixed(value, "%.0f");
}

Measured measured(double value, double error) {
  constexpr double kSmallest = 1e-6;  // below, decimals would only be zeros
  if (!(std::abs(error) >= kSmallest)) return {short_number(value), short_number(error)};
  const int decimals = std::max(0, 1 - static_cast<int>(std::floor(std::log10(std::abs(error)))));
  const std::string format = cat("%.", decimals, "f");
  return {fixed(value, format.c_str()), fixed(error, format.c_str())};
}

std::string heat_map_page(const HeatMapPage& page) {
  std::string body = cat("<h1>", html_escape(page.title), "</h1>\n");
  if (!page.subtitle.empty()) body += cat("<p class=\"quiet\">", html_escape(page.subtitle), "</p>\n");
  if (!page.facts.empty()) {
    body += "<dl class=\"facts\">";
    for (const auto& [name, value] : page.facts) {
      body += cat("<dt>", html_escape(name), "</dt><dd>", html_escape(value), "</dd>\n");
    }
    body += "</dl>\n";
  }
  for (const std::string& warning : page.warnings) body += cat("<p class=\"warning\">", html_escape(warning), "</p>\n");
  for (const HeatMap& map : page.maps) body += table(map);
  return html_page(page.title, kStyle, body);
}

}  // namespace striate
