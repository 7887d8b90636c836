#include "striate/eval/prune_sweep.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "striate/base/strings.h"
#include "striate/region/layer_set.h"
#include "striate/report/line_chart.h"

namespace striate {
namespace {

std::int64_t most_removed(const SweepArm& arm, std::int64_t to) {
  const std::int64_t layers = arm.model->config().decoder.layers;
  const auto outside = layers - static_cast<std::int64_t>(arm.protected_layers.size());
  return std::min({to, outside, layers - 1});
}

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

nlohmann::json point_json(const SweepPoint& point) {
  nlohmann::json layers = nlohmann::json::array();
  for (const PrunedLayer& p : point.layers) layers.push_back({{"layer", p.layer}, {"score", number(p.score)}});
  const EvaluationMetrics& m = point.held_out;
  return {{"removed", point.removed},
          {"layers", layers},
          {"loss", number(m.loss)},
          {"targets", m.targets},
          {"questions", m.questions},
          {"exact", m.exact},
          {"accuracy", number(point.accuracy())}};
}

LineSeries series_of(const SweepCurve& curve, const std::function<double(const SweepPoint&)>& value) {
  LineSeries series{.name = curve.name};
  for (const SweepPoint& point : curve.points) {
    series.x.push_back(static_cast<double>(point.removed));
    series.y.push_back(value(point));
    series.labels.push_back(point.layers.empty() ? "nothing removed"
                                                 : "without " + layer_list_text(ascending_layers(point.layers)));
  }
  return series;
}

}  // namespace

double SweepPoint::accuracy() const {
  if (held_out.questions == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(held_out.exact) / static_cast<double>(held_out.questions);
}

std::vector<SweepCurve> sweep_pruning(const std::vector<SweepArm>& arms, std::int64_t from, std::int64_t to,
                                      const std::shared_ptr<const Tokenizer>& tokenizer, EvaluationSet& set,
                                      const AnswerOptions& answers, const SweepProgress& progress) {
  std::int64_t total = 0, done = 0;
  for (const SweepArm& arm : arms) total += std::max<std::int64_t>(0, most_removed(arm, to) - from + 1);
  std::map<std::pair<const Lvlm*, std::vector<std::int64_t>>, EvaluationMetrics> known;
  std::vector<SweepCurve> curves;
  for (const SweepArm& arm : arms) {
    const std::unique_ptr<Collective> alone = join_ranks({}, arm.model->placement().device);
    SweepCurve curve{arm.name, arm.protected_layers, {}};
    for (std::int64_t n = from; n <= most_removed(arm, to); ++n) {
      if (progress) progress(done, total);
      SweepPoint point{n, arm.choose(n), {}};
      const auto key = std::pair(arm.model, ascending_layers(point.layers));
      auto found = known.find(key);
      if (found == known.end()) {
        const Lvlm pruned = arm.model->without_layers(key.second);
        found = known.emplace(key, evaluate_held_out(pruned, tokenizer, set, *alone, answers)).first;
      }
      point.held_out = found->second;
      curve.points.push_back(std::move(point));
      ++done;
    }
    curves.push_back(std::move(curve));
  }
  if (progress) progress(total, total);
  return curves;
}

nlohmann::json sweep_json(const PruneSweep& sweep) {
  nlohmann::json curves = nlohmann::json::array();
  for (const SweepCurve& curve : sweep.curves) {
    nlohmann::json points = nlohmann::json::array();
    for (const SweepPoint& point : curve.points) points.push_back(point_json(point));
    curves.push_back({{"name", curve.name}, {"region", curve.protected_layers}, {"points", points}});
  }
  return {{"format", "striate-prune-sweep"}, {"version", 1},           {"model", sweep.model},
          {"layers", sweep.layers},          {"metric", sweep.metric}, {"scores", sweep.scores},
          {"samples", sweep.samples},        {"curves", curves}};
}

std::string sweep_report(const PruneSweep& sweep) {
  LineChart loss{.title = "Held-out loss",
                 .note = "Mean negative log-likelihood of the reference answers' tokens; lower is better.",
                 .x_name = "layers removed",
                 .y_name = "loss"};
  LineChart exact{.title = "Answers exactly right",
                  .note = "Share of the held-out questions whose greedy answer is the reference's; higher is better.",
                  .x_name = "layers removed",
                  .y_name = "exact, %"};
  bool asked = false;
  for (const SweepCurve& curve : sweep.curves) {
    loss.series.push_back(series_of(curve, [](const SweepPoint& p) { return p.held_out.loss; }));
    exact.series.push_back(series_of(curve, [](const SweepPoint& p) { return 100 * p.accuracy(); }));
    for (const SweepPoint& point : curve.points) asked = asked || point.held_out.questions > 0;
  }
  LineChartPage page{.title = "Pruning " + sweep.model,
                     .subtitle = "What is lost with every decoder layer that is removed, without any healing."};
  page.facts = {{"layers", std::to_string(sweep.layers)},
                {"metric", sweep.metric + ", lowest first"},
                {"scores", sweep.scores},
                {"held-out samples", std::to_string(sweep.samples)}};
  for (const SweepCurve& curve : sweep.curves) {
    page.facts.emplace_back(curve.name, curve.protected_layers.empty()
                                            ? "any layer may go"
                                            : "layers " + layer_list_text(curve.protected_layers) + " stay");
  }
  page.charts.push_back(std::move(loss));
  if (asked) page.charts.push_back(std::move(exact));
  return line_chart_page(page);
}

}  // namespace striate
