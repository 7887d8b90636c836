#include "striate/report/scatter.h"

#include <algorithm>
#include <array>
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

struct Spot {
  double x = 0, y = 0;
};

constexpr double kDot = 4.5;  // its radius

double distance(const Spot& a, const Spot& b) {
  return std::hypot(a.x - b.x, a.y - b.y);
}

// A place for the number of each dot: beside it, where no other number and no dot is; as near as there is room.
std::vector<Spot> places_of_numbers(const std::vector<Spot>& dots, double left, double right, double top,
                                    double bottom) {
  constexpr double kApart = 17, kClear = 12, kDiagonal = 0.7071;
  constexpr std::array<Spot, 8> kDirections = {{{1, 0},
                                                {-1, 0},
                                                {0, -1},
                                                {0, 1},
                                                {kDiagonal, -kDiagonal},
                                                {kDiagonal, kDiagonal},
                                                {-kDiagonal, -kDiagonal},
                                                {-kDiagonal, kDiagonal}}};
  std::vector<Spot> numbers;
  const auto is_free = [&](const Spot& place) {
    const bool inside = place.x > left + 8 && place.x < right - 8 && place.y > top + 8 && place.y < bottom - 8;
    return inside && std::ranges::all_of(numbers, [&](const Spot& n) { return distance(n, place) >= kApart; }) &&
           std::ranges::all_of(dots, [&](const Spot& dot) { return distance(dot, place) >= kClear; });
  };
  for (const Spot& dot : dots) {
    Spot chosen{dot.x + 13, dot.y};
    bool found = false;
    for (double away = 13; away < 80 && !found; away += 9) {
      for (const Spot& direction : kDirections) {
        const Spot place{dot.x + away * direction.x, dot.y + away * direction.y};
        if (found || !is_free(place)) continue;
        chosen = place;
        found = true;
      }
    }
    numbers.push_back(chosen);
  }
  return numbers;
}

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
    std::vector<std::size_t> drawn;
    std::vector<Spot> dots;
    for (std::size_t i = 0; i < scatter_.points.size(); ++i) {
      if (!is_drawn(scatter_.points[i])) continue;
      bars += bar(scatter_.points[i]);
      drawn.push_back(i);
      dots.push_back({x_.place(scatter_.points[i].x), y_.place(scatter_.points[i].y)});
    }
    const std::vector<Spot> numbers =
        places_of_numbers(dots, frame_.left, frame_.width - frame_.right, frame_.top, frame_.height - frame_.bottom);
    for (std::size_t k = 0; k < drawn.size(); ++k)
      marks += mark(scatter_.points[drawn[k]], drawn[k] + 1, dots[k], numbers[k]);
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

  // A dot with its number; a number that is not next to its dot is joined to it.
  std::string mark(const ScatterPoint& point, std::size_t number, const Spot& dot, const Spot& place) const {
    const std::string joined = distance(dot, place) > 16 ? line("grid", dot.x, place.x, dot.y, place.y) : "";
    return cat("<g><title>", html_escape(cat(number, " ", point.name)), "</title>", joined,
               "<circle class=\"mark\" fill=\"var(--s0)\" cx=\"", plot_place(dot.x), "\" cy=\"", plot_place(dot.y),
               "\" r=\"", kDot, "\"/><text class=\"number\" text-anchor=\"middle\" x=\"", plot_place(place.x),
               "\" y=\"", plot_place(place.y + 4.5), "\">", number, "</text></g>\n");
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
