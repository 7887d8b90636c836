#include "striate/report/line_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/report/axes.h"
#include "striate/report/html.h"
#include "striate/report/numbers.h"
#include "striate/report/plain_table.h"

namespace striate {
namespace {

constexpr ChartFrame kWide = {760, 360, 62, 22, 30, 48};
constexpr ChartFrame kNarrow = {360, 300, 50, 20, 30, 48};
constexpr std::array<const char*, 4> kColours = {"var(--s0)", "var(--s1)", "var(--s2)", "var(--s3)"};
constexpr std::array<const char*, 4> kDashes = {"", "7 4", "2 4", "9 3 2 3"};
constexpr std::size_t kManyPoints = 16;  // points of a series from which on markers are small

std::string place(double value) {
  return cat(std::round(value * 10) / 10);
}

// A marker of the series' shape, still without its end: "<circle ... r="5"".
std::string marker(std::size_t series, double x, double y, double size) {
  const std::string start = cat("<path class=\"mark\" fill=\"", kColours[series % kColours.size()], "\" d=\"M");
  const std::string s = place(size), d = place(2 * size);
  switch (series % kColours.size()) {
    case 0:
      return cat(start, place(x - size), ' ', place(y), 'a', s, ' ', s, " 0 1 0 ", d, " 0a", s, ' ', s, " 0 1 0 -", d,
                 " 0z\"");
    case 1:
      return cat(start, place(x - size), ' ', place(y - size), 'h', d, 'v', d, "h-", d, "z\"");
    case 2:
      return cat(start, place(x), ' ', place(y - 1.2 * size), 'l', s, ' ', d, "h-", d, "z\"");
    default:
      return cat(start, place(x), ' ', place(y - 1.2 * size), 'l', s, ' ', s, "l-", s, ' ', s, "l-", s, " -", s, "z\"");
  }
}

// One drawing of a chart.
class Drawing {
 public:
  Drawing(const LineChart& chart, const ChartFrame& frame, const char* name)
      : chart_(chart), frame_(frame), name_(name), axes_(chart, frame) {}

  std::string html() const {
    std::string out = cat("<svg class=\"", name_, "\" role=\"img\" aria-label=\"", html_escape(chart_.title),
                          "\" viewBox=\"0 0 ", frame_.width, ' ', frame_.height, "\">\n", bands(), grid());
    for (std::size_t i = 0; i < chart_.series.size(); ++i) out += line(i);
    return out + "</svg>\n";
  }

  double axis_start() const { return axes_.y_ticks.front(); }

 private:
  double foot() const { return frame_.height - frame_.bottom; }

  std::string bands() const {
    std::string out;
    for (const double x : chart_.marked_x) {
      out += cat("<rect class=\"band\" x=\"", place(axes_.across(x) - axes_.unit() / 2), "\" y=\"", frame_.top,
                 "\" width=\"", place(axes_.unit()), "\" height=\"", foot() - frame_.top, "\"/>\n");
    }
    return out;
  }

  std::string grid() const {
    std::string out;
    for (const double tick : axes_.y_ticks) {
      const std::string y = place(axes_.down(tick));
      out += cat("<line class=\"grid\" x1=\"", frame_.left, "\" x2=\"", frame_.width - frame_.right, "\" y1=\"", y,
                 "\" y2=\"", y, "\"/><text text-anchor=\"end\" x=\"", frame_.left - 7, "\" y=\"",
                 place(axes_.down(tick) + 4.5), "\">", cat(tick), "</text>\n");
    }
    for (const double tick : axes_.x_ticks) {
      out += cat("<text text-anchor=\"middle\" x=\"", place(axes_.across(tick)), "\" y=\"", foot() + 19, "\">",
                 cat(tick), "</text>\n");
    }
    return cat(out, "<text text-anchor=\"middle\" x=\"", (frame_.left + frame_.width - frame_.right) / 2, "\" y=\"",
               frame_.height - 8, "\">", html_escape(chart_.x_name), "</text>\n<text x=\"4\" y=\"15\">",
               html_escape(chart_.y_name), "</text>\n");
  }

  // How far to the side series `index` stands.
  double aside(std::size_t index) const {
    const auto count = static_cast<double>(chart_.series.size());
    const double step = std::min(7.0, 0.8 * axes_.unit() / count);
    return (static_cast<double>(index) - (count - 1) / 2) * step;
  }

  std::string line(std::size_t index) const {
    const LineSeries& series = chart_.series[index];
    const double size = series.x.size() >= kManyPoints ? 3 : 5;
    const std::string colour = cat(" stroke=\"", kColours[index % kColours.size()], "\"");
    std::string path, bars, marks;
    bool down = false;  // the pen
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!std::isfinite(series.x[i]) || !axes_.drawn(series.y[i])) {
        down = false;
        continue;
      }
      const double x = axes_.across(series.x[i]) + aside(index);
      path += cat(down ? 'L' : 'M', place(x), ' ', place(axes_.down(series.y[i])));
      down = true;
      bars += bar(series, i, x);
      const std::string label = series.labels.empty() ? std::string() : ", " + series.labels[i];
      marks += cat(marker(index, x, axes_.down(series.y[i]), size), "><title>",
                   html_escape(cat(series.name, " at ", series.x[i], ": ", point_text(series, i), label)),
                   "</title></path>\n");
    }
    const std::string under = index == 0 && chart_.series.size() > 1 ? " under" : "";
    if (!bars.empty()) bars = cat("<path class=\"bar\"", colour, " d=\"", bars, "\"/>\n");
    return cat("<path class=\"line", under, "\"", colour, " stroke-dasharray=\"", kDashes[index % kDashes.size()],
               "\" d=\"", path, "\"/>\n", bars, marks);
  }

  std::string bar(const LineSeries& series, std::size_t i, double x) const {
    if (series.low.empty() || !axes_.drawn(series.low[i]) || !axes_.drawn(series.high[i])) return "";
    const std::string top = place(axes_.down(series.high[i])), bottom = place(axes_.down(series.low[i]));
    const std::string left = place(x - 3.5);
    return cat('M', place(x), ' ', top, 'V', bottom, 'M', left, ' ', top, "h7M", left, ' ', bottom, "h7");
  }

 public:
  // "0.110 (0.0950 to 0.125)"
  static std::string point_text(const LineSeries& series, std::size_t i) {
    if (series.low.empty() || !std::isfinite(series.low[i]) || !std::isfinite(series.high[i]))
      return short_number(series.y[i]);
    return cat(short_number(series.y[i]), " (", short_number(series.low[i]), " to ", short_number(series.high[i]), ")");
  }

 private:
  const LineChart& chart_;
  const ChartFrame& frame_;
  const char* name_;
  ChartAxes axes_;
};

std::string legend(const LineChart& chart) {
  std::string out = "<div class=\"legend\">";
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const std::string under = i == 0 && chart.series.size() > 1 ? " under" : "";
    out += cat("<span><svg width=\"40\" height=\"16\" aria-hidden=\"true\"><path class=\"line", under, "\" stroke=\"",
               kColours[i % kColours.size()], "\" stroke-dasharray=\"", kDashes[i % kDashes.size()],
               "\" d=\"M2 8H38\"/>", marker(i, 20, 8, 5), "/></svg>", html_escape(chart.series[i].name), "</span>\n");
  }
  if (!chart.marked_x.empty()) {
    out +=
        cat("<span><svg width=\"16\" height=\"16\" aria-hidden=\"true\"><rect class=\"band\" x=\"1\" y=\"1\" "
            "width=\"14\" height=\"14\"/></svg>",
            html_escape(chart.mark_meaning), "</span>\n");
  }
  return out + "</div>\n";
}

std::string caption(const LineChart& chart, double start) {
  const std::string where = chart.logarithmic ? cat("is logarithmic and starts at ", start, ", not at 0")
                            : start == 0      ? std::string("starts at 0")
                                              : cat("starts at ", start, ", not at 0");
  return cat("<figcaption>The vertical axis ", where, ".</figcaption>\n");
}

std::string table(const LineChart& chart) {
  std::set<double> places;
  for (const LineSeries& series : chart.series) places.insert(series.x.begin(), series.x.end());
  std::string out = cat("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", html_escape(chart.title),
                        "\"><table class=\"points\"><thead><tr><th scope=\"col\">", html_escape(chart.x_name), "</th>");
  for (const LineSeries& series : chart.series) out += cat("<th scope=\"col\">", html_escape(series.name), "</th>");
  out += "</tr></thead><tbody>\n";
  for (const double x : places) {
    out += cat("<tr><th scope=\"row\">", x, "</th>");
    for (const LineSeries& series : chart.series) {
      const auto found = std::find(series.x.begin(), series.x.end(), x);
      const auto i = static_cast<std::size_t>(found - series.x.begin());
      const bool there = found != series.x.end() && std::isfinite(series.y[i]);
      out += cat("<td>", there ? Drawing::point_text(series, i) : "-");
      if (there && !series.labels.empty())
        out += cat("<small class=\"quiet\">", html_escape(series.labels[i]), "</small>");
      out += "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

void check_lengths(const LineSeries& series) {
  const std::size_t count = series.x.size();
  const auto fits = [&](std::size_t length) { return length == 0 || length == count; };
  if (series.y.size() != count || !fits(series.low.size()) || series.low.size() != series.high.size() ||
      !fits(series.labels.size())) {
    throw internal_error(cat("line chart: ", series.name, " does not have one value per place"));
  }
}

}  // namespace

std::string line_chart_html(const LineChart& chart) {
  for (const LineSeries& series : chart.series) check_lengths(series);
  const Drawing wide(chart, kWide, "wide"), narrow(chart, kNarrow, "narrow");
  std::string numbers;
  if (chart.table) numbers = chart.folded ? folded_html("The numbers of this chart", table(chart)) : table(chart);
  return cat("<section>\n<h2>", html_escape(chart.title), "</h2>\n<p class=\"quiet\">", html_escape(chart.note),
             "</p>\n<figure>\n", legend(chart), wide.html(), narrow.html(), caption(chart, wide.axis_start()),
             "</figure>\n", numbers, "</section>\n");
}

}  // namespace striate
