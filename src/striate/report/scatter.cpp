#include "striate/report/scatter.h"

#include <cmath>

#include "striate/base/strings.h"
#include "striate/report/html.h"
#include "striate/report/plain_table.h"
#include "striate/report/plot_axis.h"

namespace striate {
namespace {

struct PlaneFrame {
  double width, height, left, right, top, bottom;
};
constexpr PlaneFrame kWidePlane = {760, 420, 62, 22, 30, 48};
constexpr PlaneFrame kNarrowPlane = {360, 340, 50, 16, 30, 48};

bool is_drawn(const ScatterPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y);
}

std::vector<double> plane_values(const Scatter& scatter, bool across) {
  std::vector<double> out = {0};
  for (const ScatterPoint& point : scatter.points) {
    if (!is_drawn(point)) continue;
    out.insert(out.end(), across ? std::initializer_list<double>{point.x, point.x_low, point.x_high}
                                 : std::initializer_list<double>{point.y, point.y_low, point.y_high});
  }
  return out;
}

class PlaneDrawing {
 public:
  PlaneDrawing(const Scatter& scatter, const PlaneFrame& frame, const char* name)
      : scatter_(scatter),
        frame_(frame),
        name_(name),
        x_(plane_values(scatter, true), frame.left + 12, frame.width - frame.right),
        y_(plane_values(scatter, false), frame.height - frame.bottom, frame.top + 12) {}

  std::string html() const {
    std::string bars, marks;
    for (std::size_t i = 0; i < scatter_.points.size(); ++i) {
      if (!is_drawn(scatter_.points[i])) continue;
      bars += bar(scatter_.points[i]);
      marks += mark(scatter_.points[i], i + 1);
    }
    return cat("<svg class=\"", name_, "\" role=\"img\" aria-label=\"", html_escape(scatter_.title),
               "\" viewBox=\"0 0 ", frame_.width, ' ', frame_.height, "\">\n", grid(), bars, marks, "</svg>\n");
  }

 private:
  std::string line(const char* kind, double x1, double x2, double y1, double y2) const {
    return cat("<line class=\"", kind, "\" x1=\"", plot_place(x1), "\" x2=\"", plot_place(x2), "\" y1=\"",
               plot_place(y1), "\" y2=\"", plot_place(y2), "\"/>");
  }

  std::string grid() const {
    const double foot = frame_.height - frame_.bottom, right = frame_.width - frame_.right;
    std::string out;
    for (const double tick : x_.ticks()) {
      const double x = x_.place(tick);
      out += cat(line(std::abs(tick) < 1e-12 ? "reference" : "grid", x, x, frame_.top, foot),
                 "<text text-anchor=\"middle\" x=\"", plot_place(x), "\" y=\"", foot + 19, "\">", tick_label(tick),
                 "</text>\n");
    }
    for (const double tick : y_.ticks()) {
      const double y = y_.place(tick);
      out += cat(line(std::abs(tick) < 1e-12 ? "reference" : "grid", frame_.left, right, y, y),
                 "<text text-anchor=\"end\" x=\"", frame_.left - 7, "\" y=\"", plot_place(y + 4.5), "\">",
                 tick_label(tick), "</text>\n");
    }
    return cat(out, "<text text-anchor=\"middle\" x=\"", (frame_.left + right) / 2, "\" y=\"", frame_.height - 8, "\">",
               html_escape(scatter_.x_name), "</text>\n<text x=\"4\" y=\"15\">", html_escape(scatter_.y_name),
               "</text>\n");
  }

  std::string bar(const ScatterPoint& point) const {
    std::string path;
    if (std::isfinite(point.x_low) && std::isfinite(point.x_high)) {
      path += cat('M', plot_place(x_.place(point.x_low)), ' ', plot_place(y_.place(point.y)), 'H',
                  plot_place(x_.place(point.x_high)));
    }
    if (std::isfinite(point.y_low) && std::isfinite(point.y_high)) {
      path += cat('M', plot_place(x_.place(point.x)), ' ', plot_place(y_.place(point.y_low)), 'V',
                  plot_place(y_.place(point.y_high)));
    }
    return path.empty() ? path : cat("<path class=\"bar\" stroke=\"var(--s0)\" d=\"", path, "\"/>\n");
  }

  std::string mark(const ScatterPoint& point, std::size_t number) const {
    const std::string x = plot_place(x_.place(point.x)), y = plot_place(y_.place(point.y));
    return cat("<g><title>", html_escape(cat(number, " ", point.name)),
               "</title><circle class=\"mark\" fill=\"var(--s0)\" cx=\"", x, "\" cy=\"", y,
               "\" r=\"10\"/><text class=\"number\" text-anchor=\"middle\" x=\"", x, "\" y=\"",
               plot_place(y_.place(point.y) + 4.5), "\">", number, "</text></g>\n");
  }

  const Scatter& scatter_;
  const PlaneFrame& frame_;
  const char* name_;
  PlotAxis x_, y_;
};

}  // namespace

std::string scatter_html(const Scatter& scatter) {
  std::string legend;
  PlainTable table{.name = scatter.title, .columns = {{""}, {scatter.x_name, true}, {scatter.y_name, true}}};
  for (std::size_t i = 0; i < scatter.points.size(); ++i) {
    const ScatterPoint& point = scatter.points[i];
    if (is_drawn(point)) legend += cat("<span><b>", i + 1, "</b>", html_escape(point.name), "</span>\n");
    table.rows.push_back({cat(i + 1, " ", point.name), value_and_interval(point.x, point.x_low, point.x_high),
                          value_and_interval(point.y, point.y_low, point.y_high)});
  }
  return cat("<section>\n<h2>", html_escape(scatter.title), "</h2>\n<p class=\"quiet\">", html_escape(scatter.note),
             "</p>\n<figure>\n<div class=\"legend\">", legend, "</div>\n",
             PlaneDrawing(scatter, kWidePlane, "wide").html(), PlaneDrawing(scatter, kNarrowPlane, "narrow").html(),
             "</figure>\n", folded_html("The numbers of this chart", plain_table_html(table)), "</section>\n");
}

}  // namespace striate
