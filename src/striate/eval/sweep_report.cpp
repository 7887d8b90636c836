#include "striate/eval/sweep_report.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/base/strings.h"
#include "striate/report/depth_strip.h"
#include "striate/report/line_chart.h"
#include "striate/report/report_page.h"

namespace striate {
namespace {

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

nlohmann::json point_json(const SweepPoint& point) {
  nlohmann::json layers = nlohmann::json::array();
  for (const PrunedLayer& p : point.layers) layers.push_back({{"layer", p.layer}, {"score", number(p.score)}});
  const EvaluationMetrics& m = point.held_out;
  nlohmann::json json = {{"removed", point.removed}, {"layers", layers}, {"questions", m.questions}};
  if (!point.answers.empty()) json["answers"] = point.answers;
  if (m.benchmark) {
    json["score"] = number(m.benchmark->headline.value);
    json["score_low"] = number(m.benchmark->interval.low);
    json["score_high"] = number(m.benchmark->interval.high);
    json["unparsed"] = m.benchmark->unparsed;
    return json;
  }
  json["loss"] = number(m.loss);
  json["loss_error"] = number(m.loss_error);
  json["targets"] = m.targets;
  json["exact"] = m.exact;
  json["accuracy"] = number(point.accuracy());
  json["accuracy_error"] = number(m.exact_error);
  return json;
}

LineSeries series_of(const SweepCurve& curve) {
  LineSeries series{.name = curve.name};
  for (const SweepPoint& point : curve.points) {
    series.x.push_back(static_cast<double>(point.removed));
    series.labels.push_back(point.layers.empty()
                                ? "nothing removed"
                                : "without " + layers_of(point.layers, curve.protected_layers.depth()).list());
  }
  return series;
}

LineSeries loss_series(const SweepCurve& curve) {
  LineSeries series = series_of(curve);
  for (const SweepPoint& point : curve.points) {
    const EvaluationMetrics& m = point.held_out;
    series.y.push_back(m.loss);
    series.low.push_back(std::max(0.0, m.loss - 2 * m.loss_error));
    series.high.push_back(m.loss + 2 * m.loss_error);
    if (std::isnan(m.loss_error)) series.low.back() = m.loss_error;
  }
  return series;
}

LineSeries score_series(const SweepCurve& curve) {
  LineSeries series = series_of(curve);
  for (const SweepPoint& point : curve.points) {
    const BenchmarkScore& score = *point.held_out.benchmark;
    series.y.push_back(score.headline.value);
    series.low.push_back(score.interval.low);
    series.high.push_back(score.interval.high);
  }
  return series;
}

LineSeries exact_series(const SweepCurve& curve) {
  LineSeries series = series_of(curve);
  for (const SweepPoint& point : curve.points) {
    const ShareInterval interval = exact_interval(point.held_out);
    series.y.push_back(100 * point.accuracy());
    series.low.push_back(100 * interval.low);
    series.high.push_back(100 * interval.high);
  }
  return series;
}

void add_sample_charts(const SweepResult& sweep, ReportPage& page) {
  LineChart loss{.title = "Held-out loss",
                 .note =
                     "Mean negative log-likelihood of the reference answers' tokens, in nats; lower is better. Bars "
                     "are two standard errors over the held-out samples to either side.",
                 .x_name = "layers removed",
                 .y_name = "loss, nats per token"};
  LineChart exact{.title = "Exact answers",
                  .note =
                      "Share of the held-out questions whose greedy answer is the reference's; higher is better. "
                      "Bars are 95% intervals (Wilson); the questions of one sample count as one draw.",
                  .x_name = "layers removed",
                  .y_name = "exactly right, %"};
  bool asked = false;
  for (const SweepCurve& curve : sweep.curves) {
    loss.series.push_back(loss_series(curve));
    exact.series.push_back(exact_series(curve));
    for (const SweepPoint& point : curve.points) asked = asked || point.held_out.questions > 0;
  }
  page.sections.push_back(line_chart_html(loss));
  if (asked) page.sections.push_back(line_chart_html(exact));
}

void add_benchmark_chart(const SweepResult& sweep, const BenchmarkScore& asked, ReportPage& page) {
  const std::string unit = asked.headline.unit.empty() ? "" : ", " + asked.headline.unit;
  LineChart chart{.title = cat(asked.benchmark, ", ", asked.headline.name),
                  .note = cat("By the protocol ", asked.protocol,
                              ". Bars are 95% intervals: the questions are drawn again a thousand times."),
                  .x_name = "layers removed",
                  .y_name = asked.headline.name + unit};
  for (const SweepCurve& curve : sweep.curves) chart.series.push_back(score_series(curve));
  page.sections.push_back(line_chart_html(chart));
}

}  // namespace

nlohmann::json sweep_json(const SweepResult& sweep) {
  nlohmann::json curves = nlohmann::json::array();
  for (const SweepCurve& curve : sweep.curves) {
    nlohmann::json points = nlohmann::json::array();
    for (const SweepPoint& point : curve.points) points.push_back(point_json(point));
    curves.push_back({{"name", curve.name}, {"region", curve.protected_layers.numbers()}, {"points", points}});
  }
  nlohmann::json json = {{"format", "striate-prune-sweep"}, {"version", 1},           {"model", sweep.model},
                         {"layers", sweep.layers},          {"metric", sweep.metric}, {"scores", sweep.scores},
                         {"samples", sweep.samples},        {"curves", curves}};
  if (const BenchmarkScore* asked = sweep.asked()) {
    json["benchmark"] = {{"name", asked->benchmark},
                         {"protocol", asked->protocol},
                         {"score", asked->headline.name},
                         {"unit", asked->headline.unit}};
  }
  return json;
}

ShareInterval exact_interval(const EvaluationMetrics& metrics) {
  constexpr double z = 1.96;  // 95%
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const auto questions = static_cast<double>(metrics.questions);
  if (questions == 0) return {kNone, kNone};
  const double p = static_cast<double>(metrics.exact) / questions;
  // Questions of one sample tell less than as many independent ones.
  const double independent = p * (1 - p) / questions;  // the variance of the share if they were
  const double variance = std::isfinite(metrics.exact_error) ? metrics.exact_error * metrics.exact_error : independent;
  const double n = independent > 0 ? questions * std::min(1.0, independent / variance) : questions;
  const double centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

std::string sweep_report(const SweepResult& sweep) {
  const BenchmarkScore* asked = sweep.asked();
  ReportPage page{.title = "Pruning " + sweep.model,
                  .subtitle =
                      "What each removed decoder layer costs, before any healing. The curves answer the same "
                      "questions, so a difference between two of them is more certain than their bars show."};
  page.facts = {
      {"layers", std::to_string(sweep.layers)},
      {"metric", sweep.metric + ", lowest first"},
      {"scores", sweep.scores},
      {asked != nullptr ? cat("questions of ", asked->benchmark) : "held-out samples", std::to_string(sweep.samples)}};
  for (const SweepCurve& curve : sweep.curves) {
    const std::string stay = curve.protected_layers.empty()
                                 ? std::string("any layer may be removed")
                                 : cat(named_layers(curve.protected_layers.numbers()),
                                       curve.protected_layers.count() == 1 ? " stays" : " stay");
    page.sections.push_back(depth_strip_html({curve.name, stay, sweep.layers, curve.protected_layers.numbers()}));
  }
  if (asked != nullptr) {
    add_benchmark_chart(sweep, *asked, page);
  } else {
    add_sample_charts(sweep, page);
  }
  return report_page(page);
}

}  // namespace striate
