// Tables of a run's page: scores with drawn intervals, differences, shares kept, scores by kind.
#include <algorithm>
#include <cmath>
#include <map>

#include "striate/answers/number_text.h"
#include "striate/answers/page_parts.h"
#include "striate/answers/retention.h"
#include "striate/base/strings.h"
#include "striate/report/html.h"
#include "striate/report/line_chart.h"
#include "striate/report/numbers.h"

namespace striate {
namespace {

constexpr double kDrawn = 200;  // width of a drawing in its own units
constexpr double kEdge = 6;     // room for half a dot

// The range that the intervals of one table are drawn in.
struct DrawnRange {
  std::vector<double> ticks{};

  double across(double value) const {
    const double width = ticks.back() - ticks.front();
    return kEdge + (width > 0 ? (value - ticks.front()) / width : 0.5) * (kDrawn - 2 * kEdge);
  }
};

// `with_zero`: 0 is in it, and marked.
DrawnRange range_of(const std::vector<double>& values, const std::vector<Interval>& intervals, bool with_zero) {
  std::vector<double> all;
  if (with_zero) all.push_back(0);
  for (const double value : values) all.push_back(value);
  for (const Interval& interval : intervals) {
    all.push_back(interval.low);
    all.push_back(interval.high);
  }
  std::erase_if(all, [](double value) { return !std::isfinite(value); });
  if (all.empty()) return {};
  const auto [low, high] = std::ranges::minmax(all);
  const double room = high > low ? 0 : std::max(std::abs(high) * 0.05, 1.0);
  return {axis_ticks(low - room, high + room, 4)};
}

std::string drawn_interval(const DrawnRange& range, double value, const Interval& interval, std::size_t column,
                           const std::string& words, bool with_zero) {
  if (range.ticks.empty() || !std::isfinite(value)) return "";
  std::string svg = cat("<svg class=\"interval\" viewBox=\"0 0 200 22\" role=\"img\" aria-label=\"", html_escape(words),
                        "\"><title>", html_escape(words), "</title>");
  for (const double tick : range.ticks) {
    const std::string x = formatted(range.across(tick), "%.1f");
    const char* kind = with_zero && tick == 0 ? "zero" : "grid";
    svg += cat("<line class=\"", kind, "\" x1=\"", x, "\" x2=\"", x, "\" y1=\"0\" y2=\"22\"/>");
  }
  const std::string colour = page_colour(column);
  if (std::isfinite(interval.low)) {
    svg += cat("<line x1=\"", formatted(range.across(interval.low), "%.1f"), "\" x2=\"",
               formatted(range.across(interval.high), "%.1f"), "\" y1=\"11\" y2=\"11\" stroke=\"", colour,
               "\" stroke-width=\"3\" stroke-linecap=\"round\"/>");
  }
  return cat(svg, "<circle cx=\"", formatted(range.across(value), "%.1f"), "\" cy=\"11\" r=\"5\" fill=\"", colour,
             "\"/></svg>");
}

std::string tick_text(double value) {
  return formatted(value, std::abs(value) >= 1000 ? "%.0f" : "%.4g");
}

// The head of the column of drawings: where it begins and ends.
std::string drawn_head(const DrawnRange& range) {
  if (range.ticks.empty()) return "<th></th>";
  return cat("<th class=\"drawn\"><span>", tick_text(range.ticks.front()), "</span><span>",
             tick_text(range.ticks.back()), "</span></th>");
}

std::string cell(const std::string& text, const char* kind = "") {
  return cat("<td", kind, ">", html_escape(text), "</td>");
}

constexpr const char* kNumber = " class=\"number\"";

std::string count_cell(std::int64_t count) {
  return cell(std::to_string(count), count == 0 ? " class=\"number none\"" : kNumber);
}

// Heads of columns of text, and of numbers.
std::string text_heads(const std::vector<std::string>& titles) {
  std::string html;
  for (const std::string& title : titles) html += cat("<th>", title, "</th>");
  return html;
}

std::string number_heads(const std::vector<std::string>& titles) {
  std::string html;
  for (const std::string& title : titles) html += cat("<th class=\"number\">", title, "</th>");
  return html;
}

std::string table_of(const std::string& heads, const std::string& rows) {
  return cat("<div class=\"scroll\"><table class=\"plain\"><thead><tr>", heads, "</tr></thead>\n<tbody>", rows,
             "</tbody></table></div>\n");
}

// "llava, accuracy".
std::string page_rules(const Protocol& protocol) {
  const bool same = protocol.name == protocol.headline_name;  // llava-json's are both the rule
  return same ? protocol.name : cat(protocol.name, ", ", protocol.headline_name);
}

std::string score_table(const PagePart& part) {
  std::vector<double> values;
  std::vector<Interval> intervals;
  for (const PageColumn& column : part.columns) {
    values.push_back(column.score->headline.value);
    intervals.push_back(column.score->interval);
  }
  const DrawnRange range = range_of(values, intervals, false);
  std::string rows;
  for (std::size_t i = 0; i < part.columns.size(); ++i) {
    const ProtocolScore& score = *part.columns[i].score;
    const std::string value = metric_text(score.headline.value, score.headline.unit);
    const std::string interval = interval_text(score.interval, score.headline.unit);
    const bool blind = part.comparison != nullptr && part.comparison->without_pictures[i];
    rows += cat("<tr><th>", html_escape(part.columns[i].name), blind ? "<small>without pictures</small>" : "", "</th>");
    rows += cat("<td class=\"number\"><b>", html_escape(value), "</b></td>", cell(interval, kNumber), "<td>");
    rows += cat(drawn_interval(range, score.headline.value, score.interval, i, cat(value, ", ", interval), false),
                "</td>", cell(cat(score.answered, " of ", score.questions), kNumber));
    for (const std::int64_t count : {score.empty, score.unparsed, score.cut, score.other_prompt}) {
      rows += count_cell(count);
    }
    rows += cat(part.comparison == nullptr ? cell(score.headline.name) : "", "</tr>\n");
  }
  std::string heads = text_heads({part.comparison == nullptr ? "protocol" : "run"});
  heads += cat(number_heads({"score", "95% interval"}), drawn_head(range),
               number_heads({"answered", "empty", "unparsed", "cut", "other prompt"}));
  if (part.comparison == nullptr) heads += text_heads({"what it is"});
  return table_of(heads, rows);
}

std::string difference_table(const PagePart& part) {
  const PartComparison& comparison = *part.comparison;
  const std::string& unit = comparison.protocol->headline_unit;
  std::vector<double> values;
  std::vector<Interval> intervals;
  for (const RunDifference& difference : comparison.differences) {
    values.push_back(difference.difference);
    intervals.push_back(difference.interval);
  }
  const DrawnRange range = range_of(values, intervals, true);
  std::string rows;
  for (std::size_t i = 0; i < comparison.differences.size(); ++i) {
    const RunDifference& difference = comparison.differences[i];
    const std::string value = difference_text(difference.difference, unit);
    const std::string interval = interval_text(difference.interval, difference_unit(unit));
    rows += cat("<tr><th>", html_escape(part.columns[i + 1].name), "</th><td class=\"number\"><b>", html_escape(value),
                "</b></td>", cell(interval, kNumber), "<td>");
    rows +=
        cat(drawn_interval(range, difference.difference, difference.interval, i + 1, cat(value, ", ", interval), true),
            "</td>", cell(std::to_string(difference.questions), kNumber),
            count_cell(static_cast<std::int64_t>(difference.better.size())),
            count_cell(static_cast<std::int64_t>(difference.worse.size())), "</tr>\n");
  }
  return cat("<h3>Differences to ", html_escape(part.columns[0].name), "</h3>\n",
             table_of(cat(text_heads({"run"}), number_heads({"difference", "95% interval"}), drawn_head(range),
                          number_heads({"questions in both", "better", "worse"})),
                      rows));
}

std::string picture_table(const PagePart& part) {
  const std::string& unit = part.comparison->protocol->headline_unit;
  std::string rows;
  for (const PictureUse& use : part.comparison->picture_uses) {
    const RunDifference& difference = use.difference;
    rows += cat("<tr><th>", html_escape(part.columns[use.with].name), "</th>");
    rows += cell(metric_text(difference.second, unit), kNumber) + cell(metric_text(difference.first, unit), kNumber) +
            cell(difference_text(difference.difference, unit), kNumber) +
            cell(interval_text(difference.interval, difference_unit(unit)), kNumber) +
            cat("<td><b>", html_escape(picture_verdict(use)), "</b></td></tr>\n");
  }
  return rows.empty() ? ""
                      : cat("<h3>Does it look at the pictures?</h3>\n",
                            table_of(cat(text_heads({"run"}),
                                         number_heads({"with pictures", "without", "difference", "95% interval"}),
                                         text_heads({""})),
                                     rows));
}

// Scores by the values of one kind, a column for each run.
std::string kind_table(const PagePart& part, const std::string& kind) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> cells;
  std::map<std::string, std::int64_t> questions;
  const std::size_t columns = part.comparison == nullptr ? 1 : part.columns.size();
  for (std::size_t i = 0; i < columns; ++i) {
    for (const auto& [name, values] : part.columns[i].score->kinds) {
      if (name != kind) continue;
      for (const KindScore& value : values) {
        if (!cells.contains(value.value)) order.push_back(value.value);
        cells[value.value].resize(columns, "-");
        cells[value.value][i] = metric_text(value.score, "%");
        questions[value.value] = std::max(questions[value.value], value.questions);
      }
    }
  }
  if (order.empty()) return "";
  std::string rows, heads = text_heads({html_escape(kind)});
  for (std::size_t i = 0; i < columns; ++i) {
    heads += number_heads({part.comparison == nullptr ? "mean score" : html_escape(part.columns[i].name)});
  }
  for (const std::string& value : order) {
    rows += cat("<tr><th>", html_escape(value), "</th>");
    for (const std::string& text : cells[value]) rows += cell(text, kNumber);
    rows += cat(cell(std::to_string(questions[value]), kNumber), "</tr>\n");
  }
  return cat("<details><summary>By ", html_escape(kind), " (", order.size(), ")</summary>",
             table_of(heads + number_heads({"questions"}), rows), "</details>\n");
}

std::string further_numbers(const PagePart& part) {
  std::string rows;
  for (const PageColumn& column : part.columns) {
    for (const Metric& metric : column.score->more) {
      rows += cat("<tr><th>", html_escape(column.name), "</th>", cell(metric.name),
                  cell(metric_text(metric.value, metric.unit), kNumber), count_cell(metric.questions), "</tr>\n");
    }
  }
  if (rows.empty()) return "";
  return cat("<details><summary>Further numbers</summary>",
             table_of(cat(text_heads({part.comparison == nullptr ? "protocol" : "run", "number"}),
                          number_heads({"value", "questions"})),
                      rows),
             "</details>\n");
}

std::string protocol_rules(const PagePart& part) {
  std::string items;
  for (const PageColumn& column : part.columns) {
    const Protocol& protocol = *column.score->protocol;
    std::string notes;
    for (const std::string& note : protocol.notes) notes += cat("<br>", html_escape(note));
    items += cat("<dt>", html_escape(protocol.name), ", version ", protocol.version,
                 "</dt><dd>prompt: ", html_escape(protocol.prompt_rule), "<br>scoring: ", html_escape(protocol.scoring),
                 notes, "</dd>\n");
    if (part.comparison != nullptr) break;
  }
  return cat("<details><summary>How it was asked and scored</summary><dl class=\"meanings\">", items,
             "</dl></details>\n");
}

std::string retention_rows(const Retention& table, const std::vector<RetentionRow>& rows, const char* title) {
  if (rows.empty()) return "";
  std::string html;
  for (const RetentionRow& row : rows) {
    const std::string& unit = row.part->protocol->headline_unit;
    html += cat("<tr><th>", html_escape(row.part->benchmark->title), "<small>",
                html_escape(page_rules(*row.part->protocol)), "</small></th>");
    for (std::size_t i = 0; i < table.runs.size(); ++i) {
      html += cell(metric_text(row.values[i], unit), kNumber);
      if (i > 0) html += cat("<td class=\"number\"><b>", share_text(row.kept[i]), "</b></td>");
    }
    html += "</tr>\n";
  }
  html += cat("<tr class=\"sum\"><th>", title, "</th>");
  for (std::size_t i = 0; i < table.runs.size(); ++i) {
    html += cell("", kNumber);
    if (i > 0) html += cat("<td class=\"number\"><b>", share_text(mean_kept(rows, i)), "</b></td>");
  }
  return html + "</tr>\n";
}

}  // namespace

std::string page_scores_html(const PagePart& part) {
  std::string html = cat("<h2>", html_escape(part.benchmark->title), "</h2>\n<p class=\"quiet\">",
                         html_escape(part.benchmark->measures));
  if (part.comparison != nullptr) {
    html += cat("; protocol ", html_escape(page_rules(*part.comparison->protocol)));
  }
  html += "</p>\n";
  for (const std::string& note : part.notes) html += cat("<p class=\"quiet\">note: ", html_escape(note), "</p>\n");
  html += score_table(part);
  if (part.comparison != nullptr) html += cat(difference_table(part), picture_table(part));
  for (const std::string& kind : part.benchmark->kinds) html += kind_table(part, kind);
  return cat(html, further_numbers(part), protocol_rules(part));
}

std::string page_retention_html(const RunPage& page) {
  std::vector<const PartComparison*> comparisons;
  for (const PagePart& part : page.parts) {
    if (part.comparison != nullptr) comparisons.push_back(part.comparison);
  }
  const Retention table = retention(comparisons);
  if (table.runs.empty()) return "";
  std::string heads = "<th></th>";
  const std::vector<PageColumn>& columns = page.parts.front().columns;
  for (std::size_t i = 0; i < table.runs.size(); ++i) {
    heads += number_heads({html_escape(columns[table.runs[i]].name)});
    if (i > 0) heads += number_heads({"kept"});
  }
  return cat("<h2>What was kept of ", html_escape(columns.front().name),
             "</h2>\n<p class=\"quiet\">kept: the score's share of the first run's, over the questions that both "
             "answered (of a perplexity, the first run's share of it)</p>\n",
             table_of(heads, cat(retention_rows(table, table.visual, "mean, with pictures"),
                                 retention_rows(table, table.text, "mean, text"))));
}

}  // namespace striate
