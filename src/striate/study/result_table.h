// Tables of a study's numbers, each written as CSV, as LaTeX and into the report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/study/statistics.h"

namespace striate::study {

struct TableColumn {
  // In CSV an estimate has three columns, its value, low and high, and a spread two, its value and standard deviation.
  enum class Kind { kText, kNumber, kEstimate, kSpread };
  std::string name;  // "visual mean"
  Kind kind = Kind::kText;
  std::string unit{};  // "%", "points", "s"; empty: none
  int decimals = 1;    // of numbers, where people read them
  bool with_sign = false;
};

// One cell. Of a number's column `estimate.value` alone counts, of a spread's `deviation`, too.
struct TableCell {
  std::string text{};
  Estimate estimate{};
  double deviation = kNotMeasured;
};

struct ResultTable {
  std::string name;     // of its files, "strategies"
  std::string title;    // "Strategies"
  std::string caption;  // what its numbers are, in a sentence or two
  std::vector<TableColumn> columns{};
  std::vector<std::vector<TableCell>> rows{};  // one cell per column

  bool empty() const { return rows.empty(); }
};

TableCell text_cell(std::string text);
TableCell number_cell(double value);
TableCell estimate_cell(const Estimate& estimate);
TableCell spread_cell(double value, double deviation);

// A cell as people read it: "61.8 (60.9 to 62.7)", without its unit; "-" where nothing was measured.
std::string cell_text(const TableColumn& column, const TableCell& cell);

// RFC 4180 with a head, line ends as of Unix; numbers to 17 significant digits at most and empty where there are none.
// A text that a spreadsheet would take for a formula begins with an apostrophe.
std::string csv_text(const ResultTable& table);

// A booktabs tabular, for \input into a document that uses the package booktabs.
std::string latex_text(const ResultTable& table);

// HTML for a page (report/report_page.h), with the title as its heading, or folded under it.
std::string table_html(const ResultTable& table);
std::string folded_table_html(const ResultTable& table);

}  // namespace striate::study
