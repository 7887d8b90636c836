#include "striate/report/dot_plot.h"

#include <algorithm>
#include <cmath>

#include "striate/base/strings.h"
#include "striate/report/html.h"
#include "striate/report/plain_table.h"
#include "striate/report/plot_axis.h"

namespace striate {
namespace {

constexpr double kWideDots = 760, kNarrowDots = 360;  // widths of the drawings
constexpr double kDotsEdge = 26, kDotsHead = 30, kRowHeight = 40, kDotsFoot = 24;
constexpr double kCharacter = 7.2;  // of a label, on the safe side

// What of a label fits, with an ellipsis where that is not all of it.
std::string fitting_label(const std::string& label, double width) {
  const auto most = static_cast<std::size_t>(width / kCharacter);
  if (label.size() <= most) return label;
  std::size_t end = most - 1;
  while (end > 0 && (static_cast<unsigned char>(label[end]) & 0xC0U) == 0x80U) --end;
  return label.substr(0, end) + "\u2026";
}

class DotDrawing {
 public:
  DotDrawing(const DotPlot& plot, double width, const char* name)
      : plot_(plot), width_(width), name_(name), axis_(values(plot), kDotsEdge, width - kDotsEdge) {}

  std::string html() const {
    std::string out = cat("<svg class=\"", name_, "\" role=\"img\" aria-label=\"", html_escape(plot_.title),
                          "\" viewBox=\"0 0 ", width_, ' ', foot() + kDotsFoot, "\">\n", grid());
    for (std::size_t i = 0; i < plot_.rows.size(); ++i)
      out += row(plot_.rows[i], kDotsHead + kRowHeight * static_cast<double>(i));
    return out + "</svg>\n";
  }
  double start() const { return axis_.ticks().front(); }

 private:
  static std::vector<double> values(const DotPlot& plot) {
    std::vector<double> out = {plot.reference};
    for (const DotRow& row : plot.rows) out.insert(out.end(), {row.value, row.low, row.high});
    return out;
  }

  double foot() const { return kDotsHead + kRowHeight * static_cast<double>(plot_.rows.size()); }

  std::string vertical(const char* kind, double x) const {
    return cat("<line class=\"", kind, "\" x1=\"", plot_place(x), "\" x2=\"", plot_place(x), "\" y1=\"", kDotsHead - 8,
               "\" y2=\"", foot(), "\"/>");
  }

  std::string grid() const {
    std::string out;
    for (const double tick : axis_.ticks()) {
      out += cat(vertical("grid", axis_.place(tick)), "<text text-anchor=\"middle\" x=\"",
                 plot_place(axis_.place(tick)), "\" y=\"", foot() + 17, "\">", tick_label(tick), "</text>\n");
    }
    if (std::isfinite(plot_.reference)) out += vertical("reference", axis_.place(plot_.reference)) + "\n";
    return cat(out, "<text x=\"4\" y=\"14\">", html_escape(plot_.x_name), "</text>\n");
  }

  std::string row(const DotRow& row, double top) const {
    const std::string words = cat(row.name, ": ", value_and_interval(row.value, row.low, row.high));
    std::string out = cat("<g><title>", html_escape(words), "</title><text class=\"label\" x=\"4\" y=\"",
                          plot_place(top + 11), "\">", html_escape(fitting_label(row.name, width_ - 8)), "</text>");
    const double y = top + 25;
    const char* colour = row.marked ? "var(--s1)" : "var(--s0)";
    if (std::isfinite(row.low) && std::isfinite(row.high)) {
      const std::string left = plot_place(axis_.place(row.low)), right = plot_place(axis_.place(row.high));
      out += cat("<path class=\"bar\" stroke=\"", colour, "\" d=\"M", left, ' ', plot_place(y - 4), "v8M", right, ' ',
                 plot_place(y - 4), "v8M", left, ' ', plot_place(y), 'H', right, "\"/>");
    }
    if (!std::isfinite(row.value))
      return cat(out, "<text x=\"", kDotsEdge, "\" y=\"", plot_place(y + 4), "\">not measured</text></g>\n");
    const std::string x = plot_place(axis_.place(row.value) - 5), middle = plot_place(axis_.place(row.value));
    return row.marked ? cat(out, "<rect class=\"mark\" fill=\"", colour, "\" x=\"", x, "\" y=\"", plot_place(y - 5),
                            "\" width=\"10\" height=\"10\"/></g>\n")
                      : cat(out, "<circle class=\"mark\" fill=\"", colour, "\" cx=\"", middle, "\" cy=\"",
                            plot_place(y), "\" r=\"5.5\"/></g>\n");
  }

  const DotPlot& plot_;
  double width_;
  const char* name_;
  PlotAxis axis_;
};

std::string dot_legend(const DotPlot& plot) {
  std::string out;
  const bool marked = std::ranges::any_of(plot.rows, [](const DotRow& row) { return row.marked; });
  if (marked && !plot.mark_meaning.empty()) {
    out +=
        cat("<span><svg width=\"16\" height=\"16\" aria-hidden=\"true\"><rect fill=\"var(--s1)\" x=\"3\" y=\"3\" "
            "width=\"10\" height=\"10\"/></svg>",
            html_escape(plot.mark_meaning), "</span>\n");
  }
  if (std::isfinite(plot.reference)) {
    out +=
        cat("<span><svg width=\"16\" height=\"16\" aria-hidden=\"true\"><line class=\"reference\" x1=\"8\" x2=\"8\" "
            "y1=\"0\" y2=\"16\"/></svg>",
            html_escape(plot.reference_meaning), "</span>\n");
  }
  return out.empty() ? out : cat("<div class=\"legend\">", out, "</div>\n");
}

}  // namespace

std::string dot_plot_html(const DotPlot& plot) {
  const DotDrawing wide(plot, kWideDots, "wide"), narrow(plot, kNarrowDots, "narrow");
  PlainTable table{.name = plot.title, .columns = {{""}, {plot.x_name, true}, {"low", true}, {"high", true}}};
  for (const DotRow& row : plot.rows) {
    const auto text = [](double value) { return value_and_interval(value, std::nan(""), std::nan("")); };
    table.rows.push_back({row.name, text(row.value), text(row.low), text(row.high)});
  }
  return cat("<section>\n<h2>", html_escape(plot.title), "</h2>\n<p class=\"quiet\">", html_escape(plot.note),
             "</p>\n<figure>\n", dot_legend(plot), wide.html(), narrow.html(), "<figcaption>The axis starts at ",
             tick_label(wide.start()), wide.start() == 0 ? "" : ", not at 0", ".</figcaption>\n</figure>\n",
             folded_html("The numbers of this chart", plain_table_html(table)), "</section>\n");
}

}  // namespace striate
