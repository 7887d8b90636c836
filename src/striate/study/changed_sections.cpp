// Sections of a study's page: reversion, pruning, healing, scores of layers, training and its cost.
#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "striate/base/strings.h"
#include "striate/eval/score_report.h"
#include "striate/model/layer_set.h"
#include "striate/report/dot_plot.h"
#include "striate/report/heat_map.h"
#include "striate/report/line_chart.h"
#include "striate/study/report_sections.h"

namespace striate::study {
namespace {

constexpr std::size_t kMostMaps = 4;  // heat maps of layer scores

// What remains after 0, 1, ... layers are removed from a tuned group by one rule.
LineSeries removal_line(const StudyView& view, const ModelGroup& tuned, const RemovalRule& rule, Sense sense) {
  LineSeries series{.name = cat(view.groups.name_with_rate(tuned), ", ", name(rule.where))};
  for (std::int64_t k = 0; k < view.groups.setting().layers; ++k) {
    const auto group = view.groups.pruned(tuned, rule, k);
    if (!group) continue;
    const Estimate mean = view.statistics.mean(*group, sense);
    series.x.push_back(static_cast<double>(k));
    series.y.push_back(mean.value);
    series.low.push_back(mean.low);
    series.high.push_back(mean.high);
  }
  return series;
}

bool has_values(const LineSeries& series) {
  return std::ranges::any_of(series.y, [](double value) { return std::isfinite(value); });
}

std::string pruning_charts(const StudyView& view, Sense sense) {
  std::set<std::pair<std::string, bool>> rules;
  const std::vector<ModelGroup> tuned = view.groups.of(Treatment::kTuned);
  for (const ModelGroup& group : tuned) {
    for (const RemovalRule& rule : view.groups.removals(group)) rules.emplace(rule.metric, rule.spaced);
  }
  std::string html;
  for (const auto& [metric, spaced] : rules) {
    std::vector<LineGroup> lines;
    for (const ModelGroup& group : tuned) {
      lines.emplace_back();
      for (const RemovalRule& rule : view.groups.removals(group)) {
        if (rule.metric != metric || rule.spaced != spaced) continue;
        LineSeries line = removal_line(view, group, rule, sense);
        if (has_values(line)) lines.back().push_back(std::move(line));
      }
    }
    html += charts_of(
        {.title = cat(sense == Sense::kVisual ? "Visual" : "Text", " accuracy after removing layers by ", metric,
                      spaced ? ", spaced" : ""),
         .note = cat("Inside: layers of the region; outside: all others; anywhere: whichever. Before healing. ", kBars),
         .x_name = "layers removed",
         .y_name = cat(name(sense), " mean, %"),
         .folded = true},
        lines);
  }
  return html;
}

// The layers that tuning chose; none where the scored models of a group were tuned on other layers each (random draws).
std::vector<std::int64_t> chosen_layers(const ModelGroup& group) {
  std::optional<std::vector<std::int64_t>> chosen;
  for (const StudiedModel* model : group.models) {
    if (model->layer_scores.empty()) continue;
    if (!model->tuning || model->tuning->strategy == "all") return {};
    if (chosen && *chosen != model->tuning->layers) return {};
    chosen = model->tuning->layers;
  }
  return chosen.value_or(std::vector<std::int64_t>());
}

std::string scores_map(const StudyView& view, const ModelGroup& group) {
  const auto layers = static_cast<std::size_t>(view.groups.setting().layers);
  HeatMap map{.title = cat("Scores of layers: ", group_name(group, view.groups.setting())),
              .note =
                  "Means over the models that were scored. A high score means that the layer changes what passes "
                  "through it more, looks at the picture more, or was changed more by tuning.",
              .row_name = "layer",
              .mark_meaning = "a layer of the region"};
  const std::vector<std::int64_t> chosen = chosen_layers(group);
  for (std::size_t layer = 0; layer < layers; ++layer) {
    map.rows.push_back(std::to_string(layer));
    map.marked_rows.push_back(std::ranges::count(chosen, static_cast<std::int64_t>(layer)) > 0);
  }
  for (auto& [metric, values] : mean_layer_scores(group, layers))
    map.columns.push_back({.name = metric, .meaning = metric_meaning(metric), .values = std::move(values)});
  return map.columns.empty() ? "" : heat_map_html(map);
}

LineSeries loss_line(const StudyView& view, const ModelGroup& group) {
  LineSeries series{.name = group_name(group, view.groups.setting())};
  for (const LossPoint& point : mean_curve(group)) {
    series.x.push_back(static_cast<double>(point.step));
    series.y.push_back(point.loss);
  }
  return series;
}

}  // namespace

std::string reversion_html(const StudyView& view) {
  const ResultTable table = reversion_table(view);
  if (table.empty()) return "";
  DotPlot plot{
      .title = "Reverted layers",
      .note = cat("What the visual mean loses where layers get back their weights from before tuning. ", kBars),
      .x_name = "difference of the visual means, points",
      .reference = 0,
      .reference_meaning = "as tuned"};
  for (const ModelGroup& group : view.groups.of(Treatment::kReverted)) {
    const auto source = view.groups.source(group);
    const Estimate e = source ? view.statistics.difference(group, *source, Sense::kVisual) : Estimate{};
    plot.rows.push_back(
        {.name = cat(view.groups.name_with_rate(group), ", without ", layer_list_text(group.first().reverted)),
         .value = e.value,
         .low = e.low,
         .high = e.high});
  }
  return dot_plot_html(plot) + table_html(table);
}

std::string pruning_html(const StudyView& view) {
  const ResultTable table = pruning_table(view);
  if (table.empty()) return "";
  return cat(pruning_charts(view, Sense::kVisual), pruning_charts(view, Sense::kText), table_html(table));
}

std::string healing_html(const StudyView& view) {
  const ResultTable table = healing_table(view);
  return table.empty() ? "" : table_html(table);
}

std::string layer_scores_html(const StudyView& view) {
  std::string html;
  std::size_t maps = 0;
  for (const ModelGroup& group : shown_groups(view)) {
    const std::string map = maps < kMostMaps ? scores_map(view, group) : "";
    maps += map.empty() ? 0 : 1;
    html += map;
  }
  return html;
}

std::string training_html(const StudyView& view) {
  std::vector<LineGroup> lines;
  for (const ModelGroup& group : compared_strategies(view)) {
    LineSeries line = loss_line(view, group);
    if (has_values(line)) lines.push_back({std::move(line)});
  }
  std::string html = charts_of({.title = "Loss while training",
                                .note = "Means over seeds and over windows of steps.",
                                .x_name = "step",
                                .y_name = "loss, nats per token",
                                .folded = true},
                               lines);
  for (const ResultTable& table : {losses_table(view), rates_table(view)}) {
    if (!table.empty()) html += table_html(table);
  }
  return html;
}

std::string cost_html(const StudyView& view) {
  const ResultTable table = cost_table(view);
  if (table.empty()) return "";
  DotPlot plot{.title = "Time of tuning",
               .note = "Elapsed, means over seeds; from three seeds on, bars are Student's 95% intervals over seeds.",
               .x_name = "seconds"};
  for (const ModelGroup& group : compared_strategies(view)) {
    const Estimate e = floored(over_seeds(group, taken_number(&RunTaken::seconds)), 0);
    const bool bar = e.seeds > 2;
    plot.rows.push_back({.name = group_name(group, view.groups.setting()),
                         .value = e.value,
                         .low = bar ? e.low : kNotMeasured,
                         .high = bar ? e.high : kNotMeasured});
  }
  return (plot.rows.empty() ? std::string() : dot_plot_html(plot)) + table_html(table);
}

}  // namespace striate::study
