#include "striate/report/line_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/report/heat_map.h"
#include "striate/report/html.h"

namespace striate {
namespace {

constexpr const char* kStyle = R"css(
:root { --s0: #0b4f8a; --s1: #c2410c; --s2: #15803d; --s3: #7e22ce; }
@media (prefers-color-scheme: dark) { :root { --s0: #6db3f2; --s1: #fdba74; --s2: #86efac; --s3: #d8b4fe; } }
figure { margin: .8rem 0 0; } figure svg { width: 100%; max-width: 46rem; height: auto; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg text { fill: var(--quiet); font-size: 13px; }
svg .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
svg .mark { stroke: var(--page); stroke-width: 1.5; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--quiet); }
)css";

// The drawing's size and margins, in its own units.
constexpr double kWidth = 720, kHeight = 340, kLeft = 70, kRight = 20, kTop = 44, kBottom = 52;
constexpr std::array<const char*, 4> kColours = {"var(--s0)", "var(--s1)", "var(--s2)", "var(--s3)"};
constexpr std::array<const char*, 4> kDashes = {"", "7 4", "2 4", "9 3 2 3"};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

std::string place(double value) {
  return cat(std::round(value * 10) / 10);
}

// Numbers to places in the drawing.
class Axes {
 public:
  explicit Axes(const LineChart& chart) {
    Range x, y;
    std::set<double> places;
    for (const LineSeries& series : chart.series) {
      for (const double value : series.x) x.add(value);
      for (const double value : series.y) y.add(value);
      places.insert(series.x.begin(), series.x.end());
    }
    constexpr std::size_t kMostPlaces = 12;  // which an axis names one by one
    if (!places.empty() && places.size() <= kMostPlaces) {
      x_ticks.assign(places.begin(), places.end());
    } else {
      x_ticks = axis_ticks(x.empty() ? 0 : x.low, x.empty() ? 1 : x.high, 8);
    }
    y_ticks = axis_ticks(y.empty() ? 0 : y.low, y.empty() ? 1 : y.high, 5);
  }
  double across(double x) const { return kLeft + share(x_ticks, x) * (kWidth - kLeft - kRight); }
  double down(double y) const { return kHeight - kBottom - share(y_ticks, y) * (kHeight - kTop - kBottom); }

  std::vector<double> x_ticks, y_ticks;

 private:
  static double share(const std::vector<double>& ticks, double value) {
    const double span = ticks.back() - ticks.front();
    return span > 0 ? (value - ticks.front()) / span : 0.5;
  }
};

std::string marker(std::size_t series, double x, double y) {
  const std::string fill = cat("fill=\"", kColours[series % kColours.size()], "\"");
  switch (series % kColours.size()) {
    case 0:
      return cat("<circle class=\"mark\" ", fill, " cx=\"", place(x), "\" cy=\"", place(y), "\" r=\"5.5\"");
    case 1:
      return cat("<rect class=\"mark\" ", fill, " x=\"", place(x - 5), "\" y=\"", place(y - 5),
                 "\" width=\"10\" height=\"10\"");
    case 2:
      return cat("<path class=\"mark\" ", fill, " d=\"M", place(x), ' ', place(y - 6.5), "l6 11h-12z\"");
    default:
      return cat("<path class=\"mark\" ", fill, " d=\"M", place(x), ' ', place(y - 6.5), "l6 6.5l-6 6.5l-6 -6.5z\"");
  }
}

std::string grid(const LineChart& chart, const Axes& axes) {
  std::string out;
  for (const double tick : axes.y_ticks) {
    const std::string y = place(axes.down(tick));
    out += cat("<line class=\"grid\" x1=\"", kLeft, "\" x2=\"", kWidth - kRight, "\" y1=\"", y, "\" y2=\"", y,
               "\"/><text text-anchor=\"end\" x=\"", kLeft - 8, "\" y=\"", place(axes.down(tick) + 4), "\">", cat(tick),
               "</text>\n");
  }
  for (const double tick : axes.x_ticks) {
    out += cat("<text text-anchor=\"middle\" x=\"", place(axes.across(tick)), "\" y=\"", kHeight - kBottom + 20, "\">",
               cat(tick), "</text>\n");
  }
  out += cat("<text text-anchor=\"middle\" x=\"", (kLeft + kWidth - kRight) / 2, "\" y=\"", kHeight - 8, "\">",
             html_escape(chart.x_name), "</text>\n<text x=\"6\" y=\"", kTop - 26, "\">", html_escape(chart.y_name),
             "</text>\n");
  return out;
}

std::string line(const LineSeries& series, std::size_t index, const Axes& axes) {
  std::string path, marks;
  bool down = false;  // the pen
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (!std::isfinite(series.x[i]) || !std::isfinite(series.y[i])) {
      down = false;
      continue;
    }
    const double x = axes.across(series.x[i]), y = axes.down(series.y[i]);
    path += cat(down ? 'L' : 'M', place(x), ' ', place(y));
    down = true;
    const std::string label = series.labels.empty() ? std::string() : ", " + series.labels[i];
    marks += cat(marker(index, x, y), "><title>", html_escape(cat(series.name, ": ", short_number(series.y[i]), label)),
                 "</title></",
                 index % kColours.size() == 0   ? "circle"
                 : index % kColours.size() == 1 ? "rect"
                                                : "path",
                 ">\n");
  }
  return cat("<path class=\"line\" stroke=\"", kColours[index % kColours.size()], "\" stroke-dasharray=\"",
             kDashes[index % kDashes.size()], "\" d=\"", path, "\"/>\n", marks);
}

std::string legend(const LineChart& chart) {
  std::string out;
  double x = kLeft + 90;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    out += cat("<line class=\"line\" stroke=\"", kColours[i % kColours.size()], "\" stroke-dasharray=\"",
               kDashes[i % kDashes.size()], "\" x1=\"", x, "\" x2=\"", x + 34, "\" y1=\"14\" y2=\"14\"/>",
               marker(i, x + 17, 14), "/><text x=\"", x + 42, "\" y=\"18\">", html_escape(chart.series[i].name),
               "</text>\n");
    x += 60 + 7.5 * static_cast<double>(chart.series[i].name.size());
  }
  return out;
}

std::string table(const LineChart& chart) {
  std::set<double> places;
  for (const LineSeries& series : chart.series) places.insert(series.x.begin(), series.x.end());
  std::string out = cat("<table><thead><tr><th scope=\"col\">", html_escape(chart.x_name), "</th>");
  for (const LineSeries& series : chart.series) out += cat("<th scope=\"col\">", html_escape(series.name), "</th>");
  out += "</tr></thead><tbody>\n";
  for (const double x : places) {
    out += cat("<tr><th scope=\"row\">", x, "</th>");
    for (const LineSeries& series : chart.series) {
      const auto found = std::find(series.x.begin(), series.x.end(), x);
      const auto i = static_cast<std::size_t>(found - series.x.begin());
      const bool there = found != series.x.end() && std::isfinite(series.y[i]);
      out += cat("<td>", there ? short_number(series.y[i]) : "-");
      if (there && !series.labels.empty())
        out += cat(" <span class=\"quiet\">", html_escape(series.labels[i]), "</span>");
      out += "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table>\n";
}

std::string drawing(const LineChart& chart) {
  for (const LineSeries& series : chart.series) {
    if (series.x.size() != series.y.size() || (!series.labels.empty() && series.labels.size() != series.x.size())) {
      throw internal_error(cat("line chart: ", series.name, " has not one value per place"));
    }
  }
  const Axes axes(chart);
  std::string out = cat("<svg role=\"img\" aria-label=\"", html_escape(chart.title), "\" viewBox=\"0 0 ", kWidth, ' ',
                        kHeight, "\">\n", grid(chart, axes), legend(chart));
  for (std::size_t i = 0; i < chart.series.size(); ++i) out += line(chart.series[i], i, axes);
  return out + "</svg>\n";
}

}  // namespace

std::vector<double> axis_ticks(double low, double high, int about) {
  if (!(high > low)) return {low};
  const double rough = (high - low) / about;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const auto first = static_cast<std::int64_t>(std::floor(low / step + 1e-9));
  const auto last = static_cast<std::int64_t>(std::ceil(high / step - 1e-9));
  for (std::int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

std::string line_chart_page(const LineChartPage& page) {
  std::string body = cat("<h1>", html_escape(page.title), "</h1>\n<p class=\"quiet\">", html_escape(page.subtitle),
                         "</p>\n<dl class=\"facts\">\n");
  for (const auto& [name, value] : page.facts) {
    body += cat("<dt>", html_escape(name), "</dt><dd>", html_escape(value), "</dd>\n");
  }
  body += "</dl>\n";
  for (const LineChart& chart : page.charts) {
    body += cat("<h2>", html_escape(chart.title), "</h2>\n<p class=\"quiet\">", html_escape(chart.note),
                "</p>\n<figure>\n", drawing(chart), "</figure>\n", table(chart));
  }
  return html_page(page.title, kStyle, body);
}

}  // namespace striate
