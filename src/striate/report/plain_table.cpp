#include "striate/report/plain_table.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/report/html.h"

namespace striate {

std::string plain_table_html(const PlainTable& table) {
  std::string out = cat("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", html_escape(table.name),
                        "\"><table class=\"plain\"><thead><tr>");
  for (const PlainColumn& column : table.columns) {
    out += cat("<th scope=\"col\"", column.number ? " class=\"number\"" : "", ">", html_escape(column.name), "</th>");
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    if (row.size() != table.columns.size())
      throw internal_error(cat("the table ", table.name, " has a row of another length"));
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string text = html_escape(row[i]);
      out += i == 0 ? cat("<th scope=\"row\">", text, "</th>")
                    : cat("<td", table.columns[i].number ? " class=\"number\"" : "", ">", text, "</td>");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string folded_html(const std::string& line, const std::string& html) {
  return cat("<details class=\"folded\"><summary>", html_escape(line), "</summary>\n", html, "</details>\n");
}

}  // namespace striate
