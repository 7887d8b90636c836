#include "striate/study/result_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/report/html.h"
#include "striate/report/numbers.h"
#include "striate/report/plain_table.h"

namespace striate::study {
namespace {

std::string decimals_text(const TableColumn& column, double value) {
  const std::string format = cat(column.with_sign ? "%+." : "%.", column.decimals, "f");
  return formatted(value, format.c_str());
}

// The shortest text that reads back as the same number.
std::string exact_text(double value) {
  if (!std::isfinite(value)) return "";
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

std::string csv_field(const std::string& text) {
  const bool formula = text.size() > 1 && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
  const std::string shown = std::string(formula ? 1 : 0, '\'') + text;
  if (shown.find_first_of(",\"\n\r") == std::string::npos) return shown;
  std::string quoted = "\"";
  for (const char c : shown) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string latex_escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '\\':
        out += "\\textbackslash{}";
        break;
      case '~':
        out += "\\textasciitilde{}";
        break;
      case '^':
        out += "\\textasciicircum{}";
        break;
      case '<':
        out += "\\textless{}";
        break;
      case '>':
        out += "\\textgreater{}";
        break;
      case '&':
      case '%':
      case '$':
      case '#':
      case '_':
      case '{':
      case '}':
        out += '\\';
        [[fallthrough]];
      default:
        out += c;
    }
  }
  return out;
}

// A cell as LaTeX sets it: the minus of a number is no hyphen.
std::string latex_cell(const TableColumn& column, const TableCell& cell) {
  const std::string text = latex_escaped(cell_text(column, cell));
  if (column.kind == TableColumn::Kind::kText || text == "-") return text;
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-') {
      out += "$-$";
    } else if (text.compare(i, 2, "\u00B1") == 0) {
      out += "$\\pm$";
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Whether a column of texts has some that would make a line too wide for a page.
bool is_long(const ResultTable& table, std::size_t column) {
  constexpr std::size_t kLong = 32;
  return std::ranges::any_of(table.rows, [&](const auto& row) { return row[column].text.size() > kLong; });
}

std::string column_head(const TableColumn& column) {
  return column.unit.empty() ? column.name : cat(column.name, ", ", column.unit);
}

void check_rows(const ResultTable& table) {
  for (const auto& row : table.rows) {
    if (row.size() != table.columns.size())
      throw internal_error(cat("the table ", table.name, " has a row of another length"));
  }
}

std::string shown_table(const ResultTable& table) {
  check_rows(table);
  PlainTable plain{.name = table.title};
  for (const TableColumn& column : table.columns)
    plain.columns.push_back({column_head(column), column.kind != TableColumn::Kind::kText});
  for (const auto& row : table.rows) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < row.size(); ++i) texts.push_back(cell_text(table.columns[i], row[i]));
    plain.rows.push_back(std::move(texts));
  }
  return cat("<p class=\"quiet\">", html_escape(table.caption), "</p>\n", plain_table_html(plain));
}

}  // namespace

TableCell text_cell(std::string text) {
  return {.text = std::move(text)};
}

TableCell number_cell(double value) {
  return {.estimate = {.value = value}};
}

TableCell estimate_cell(const Estimate& estimate) {
  return {.estimate = estimate};
}

TableCell spread_cell(double value, double deviation) {
  return {.estimate = {.value = value}, .deviation = deviation};
}

std::string cell_text(const TableColumn& column, const TableCell& cell) {
  if (column.kind == TableColumn::Kind::kText) return cell.text;
  const Estimate& e = cell.estimate;
  if (!e.measured()) return "-";
  const std::string value = decimals_text(column, e.value);
  if (column.kind == TableColumn::Kind::kSpread && std::isfinite(cell.deviation))
    return cat(value, " \u00B1 ", decimals_text({.name = "", .decimals = column.decimals}, cell.deviation));
  if (column.kind != TableColumn::Kind::kEstimate || !e.has_interval()) return value;
  return cat(value, " (", decimals_text(column, e.low), " to ", decimals_text(column, e.high), ")");
}

std::string csv_text(const ResultTable& table) {
  check_rows(table);
  std::vector<std::string> head;
  for (const TableColumn& column : table.columns) {
    head.push_back(csv_field(column_head(column)));
    if (column.kind == TableColumn::Kind::kSpread) head.push_back(csv_field(column.name + " sd"));
    if (column.kind != TableColumn::Kind::kEstimate) continue;
    head.push_back(csv_field(column.name + " low"));
    head.push_back(csv_field(column.name + " high"));
  }
  std::string out = join(head, ",") + "\n";
  for (const auto& row : table.rows) {
    std::vector<std::string> fields;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const TableColumn::Kind kind = table.columns[i].kind;
      fields.push_back(kind == TableColumn::Kind::kText ? csv_field(row[i].text) : exact_text(row[i].estimate.value));
      if (kind == TableColumn::Kind::kSpread) fields.push_back(exact_text(row[i].deviation));
      if (kind != TableColumn::Kind::kEstimate) continue;
      fields.push_back(exact_text(row[i].estimate.low));
      fields.push_back(exact_text(row[i].estimate.high));
    }
    out += join(fields, ",") + "\n";
  }
  return out;
}

std::string latex_text(const ResultTable& table) {
  check_rows(table);
  std::string form;
  std::vector<std::string> heads;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    form += table.columns[i].kind != TableColumn::Kind::kText ? "r" : is_long(table, i) ? "p{4cm}" : "l";
    heads.push_back(latex_escaped(column_head(table.columns[i])));
  }
  std::string out = cat("% ", printable(table.title), "\n% ", printable(table.caption), "\n\\begin{tabular}{", form,
                        "}\n\\toprule\n", join(heads, " & "), " \\\\\n\\midrule\n");
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < row.size(); ++i) cells.push_back(latex_cell(table.columns[i], row[i]));
    if (cells.front().starts_with("[") || cells.front().starts_with("*")) cells.front().insert(0, "{}");
    out += join(cells, " & ") + " \\\\\n";
  }
  return out + "\\bottomrule\n\\end{tabular}\n";
}

std::string table_html(const ResultTable& table) {
  return cat("<section>\n<h2>", html_escape(table.title), "</h2>\n", shown_table(table), "</section>\n");
}

std::string folded_table_html(const ResultTable& table) {
  return folded_html(table.title, shown_table(table));
}

}  // namespace striate::study
