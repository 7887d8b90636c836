// Tables as CSV, LaTeX and HTML: exact contents, and texts that would mean something there.
#include "striate/study/result_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace striate::study {
namespace {

using testing::HasSubstr;
using Kind = TableColumn::Kind;

ResultTable small_table() {
  return {.name = "small",
          .title = "A <small> table",
          .caption = "50% of & all_",
          .columns = {{"who"}, {"n", Kind::kNumber, "", 0}, {"gain", Kind::kEstimate, "points", 2, true}},
          .rows = {{text_cell("all, \"quoted\""), number_cell(3), estimate_cell({1.25, -0.5, 3, 3, 1})},
                   {text_cell("a_b {c} \\ $5 #1 ~^ <x>"), number_cell(kNotMeasured), estimate_cell({.value = -0.1})}}};
}

TEST(ResultTables, AsCsvHaveEveryNumberWholeAndTextsQuoted) {
  EXPECT_EQ(csv_text(small_table()),
            "who,n,\"gain, points\",gain low,gain high\n"
            "\"all, \"\"quoted\"\"\",3,1.25,-0.5,3\n"
            "a_b {c} \\ $5 #1 ~^ <x>,,-0.1,,\n");
}

TEST(ResultTables, AsCsvHaveNoFormulas) {
  ResultTable table{.name = "t", .title = "t", .caption = "", .columns = {{"who"}}};
  for (const char* text : {"=1+1", "+1", "-x", "@a", "\tb", "plain"}) table.rows.push_back({text_cell(text)});
  EXPECT_EQ(csv_text(table), "who\n'=1+1\n'+1\n'-x\n'@a\n'\tb\nplain\n");
}

TEST(ResultTables, AsLatexAreATabularWithItsSignsEscaped) {
  EXPECT_EQ(
      latex_text(small_table()),
      "% A <small> table\n% 50% of & all_\n\\begin{tabular}{lrr}\n\\toprule\nwho & n & gain, points \\\\\n\\midrule\n"
      "all, \"quoted\" & 3 & +1.25 ($-$0.50 to +3.00) \\\\\n"
      "a\\_b \\{c\\} \\textbackslash{} \\$5 \\#1 \\textasciitilde{}\\textasciicircum{} \\textless{}x\\textgreater{} & "
      "- & "
      "$-$0.10 \\\\\n"
      "\\bottomrule\n\\end{tabular}\n");
  ResultTable lines = small_table();
  lines.title = "one\n\\input{evil}";
  EXPECT_THAT(latex_text(lines), testing::StartsWith("% one\\u000a\\input{evil}\n% "));  // all of it a comment
}

TEST(ResultTables, AsHtmlAreEscaped) {
  EXPECT_THAT(table_html(small_table()), HasSubstr("<h2>A &lt;small&gt; table</h2>"));
  EXPECT_THAT(table_html(small_table()), HasSubstr("<td class=\"number\">+1.25 (-0.50 to +3.00)</td>"));
  EXPECT_THAT(folded_table_html(small_table()), HasSubstr("<summary>A &lt;small&gt; table</summary>"));
}

TEST(ResultTables, ASpreadIsAMeanAndItsDeviation) {
  const ResultTable table{.name = "t",
                          .title = "t",
                          .caption = "c",
                          .columns = {{"m", Kind::kSpread, "%"}},
                          .rows = {{spread_cell(61.84, 0.55)}, {spread_cell(60, kNotMeasured)}}};
  EXPECT_EQ(csv_text(table), "\"m, %\",m sd\n61.84,0.55\n60,\n");
  EXPECT_THAT(latex_text(table), HasSubstr("61.8 $\\pm$ 0.6 \\\\\n60.0 \\\\\n"));
  EXPECT_THAT(table_html(table), HasSubstr(">m, %</th>"));
}

TEST(ResultTables, HaveOneCellPerColumn) {
  ResultTable table = small_table();
  table.rows[0].pop_back();
  EXPECT_ERROR(csv_text(table), "a row of another length");
  EXPECT_ERROR(latex_text(table), "a row of another length");
  EXPECT_ERROR(table_html(table), "a row of another length");
}

}  // namespace
}  // namespace striate::study
