// The numbers behind charts that have no table of their own on the page: scores of layers, losses while training.
#include <cmath>
#include <map>
#include <set>

#include "striate/study/study_tables.h"

namespace striate::study {
namespace {

using Kind = TableColumn::Kind;

constexpr std::size_t kMostPoints = 60;  // of a loss curve

}  // namespace

std::map<std::string, std::vector<double>> mean_layer_scores(const ModelGroup& group, std::size_t layers) {
  std::map<std::string, std::vector<double>> sums;
  std::map<std::string, double> counts;
  for (const StudiedModel* model : group.models) {
    for (const auto& [metric, scores] : model->layer_scores) {
      std::vector<double>& sum = sums.try_emplace(metric, layers, 0.0).first->second;
      for (std::size_t i = 0; i < layers; ++i) sum[i] += scores[i];
      ++counts[metric];
    }
  }
  for (auto& [metric, sum] : sums) {
    for (double& value : sum) value /= counts[metric];
  }
  return sums;
}

std::vector<LossPoint> mean_curve(const ModelGroup& group) {
  std::map<std::int64_t, std::pair<double, double>> by_step;  // sum and count
  for (const StudiedModel* model : group.models) {
    for (const LossPoint& point : model->curve) {
      if (!std::isfinite(point.loss)) continue;
      by_step[point.step].first += point.loss;
      ++by_step[point.step].second;
    }
  }
  std::vector<LossPoint> points;
  const std::size_t window = (by_step.size() + kMostPoints - 1) / kMostPoints;
  double sum = 0, count = 0;
  std::size_t steps = 0;
  for (const auto& [step, loss] : by_step) {
    sum += loss.first;
    count += loss.second;
    if (++steps % window != 0 && steps != by_step.size()) continue;
    points.push_back({step, sum / count});
    sum = count = 0;
  }
  return points;
}

ResultTable layer_scores_table(const StudyView& view) {
  const auto layers = static_cast<std::size_t>(view.groups.setting().layers);
  ResultTable table{.name = "layer-scores",
                    .title = "Scores of layers",
                    .caption = "Means over the models that were scored; striate score explains each.",
                    .columns = {{"model"}, {"layer", Kind::kNumber, "", 0}}};
  std::set<std::string> metrics;
  for (const ModelGroup& group : shown_groups(view)) {
    for (const auto& [metric, values] : mean_layer_scores(group, layers)) metrics.insert(metric);
  }
  for (const std::string& metric : metrics) table.columns.push_back({metric, Kind::kNumber, "", 5});
  for (const ModelGroup& group : shown_groups(view)) {
    const auto scores = mean_layer_scores(group, layers);
    for (std::size_t layer = 0; layer < layers && !scores.empty(); ++layer) {
      std::vector<TableCell> row = {text_cell(group_name(group, view.groups.setting())),
                                    number_cell(static_cast<double>(layer))};
      for (const std::string& metric : metrics) {
        const auto found = scores.find(metric);
        row.push_back(number_cell(found == scores.end() ? kNotMeasured : found->second[layer]));
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

ResultTable loss_curves_table(const StudyView& view) {
  ResultTable table{.name = "loss-curves",
                    .title = "Loss while training",
                    .caption = "Means over seeds and over windows of steps, each named by its last step.",
                    .columns = {{"model"}, {"step", Kind::kNumber, "", 0}, {"loss", Kind::kNumber, "nats", 4}}};
  for (const ModelGroup& group : compared_strategies(view)) {
    for (const LossPoint& point : mean_curve(group)) {
      table.rows.push_back({text_cell(group_name(group, view.groups.setting())),
                            number_cell(static_cast<double>(point.step)), number_cell(point.loss)});
    }
  }
  return table;
}

}  // namespace striate::study
