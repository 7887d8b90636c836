// Tables of what was tuned.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "striate/base/strings.h"
#include "striate/model/layer_set.h"
#include "striate/report/numbers.h"
#include "striate/study/study_tables.h"

namespace striate::study {
namespace {

using Kind = TableColumn::Kind;

constexpr const char* kMeans =
    "Means over seeds of the mean over benchmarks, in percent; in brackets 95% intervals over questions and seeds, of "
    "one "
    "seed over questions alone. A benchmark counts with the mean score of its questions; its own protocol (\"Scores by "
    "benchmark\") may weigh them in another way.";

TableColumn interval_column(const char* name, const char* unit, bool with_sign = false) {
  return {.name = name, .kind = Kind::kEstimate, .unit = unit, .decimals = 2, .with_sign = with_sign};
}

TableColumn count_column(const char* name) {
  return {.name = name, .kind = Kind::kNumber, .decimals = 0};
}

TableCell count_cell(std::size_t count) {
  return number_cell(static_cast<double>(count));
}

bool is_usual(const Tuning& tuning) {
  return tuning.offset == 0 && tuning.modules == "all";
}

// The group that stands for its axes: of several learning rates one.
bool is_chosen(const StudyView& view, const ModelGroup& group) {
  const Tuning& t = group.tuning();
  const auto chosen = view.groups.tuned({t.strategy, group.tuned_layers(), t.data_fraction, t.offset, t.modules});
  return chosen && chosen->models == group.models;
}

template <typename Wanted>
std::vector<ModelGroup> tuned_where(const StudyView& view, const Wanted& wanted) {
  std::vector<ModelGroup> out;
  for (const ModelGroup& group : view.groups.of(Treatment::kTuned)) {
    if (wanted(group, group.tuning()) && is_chosen(view, group)) out.push_back(group);
  }
  return out;
}

Estimate against(const StudyView& view, const ModelGroup& group, const std::optional<ModelGroup>& other, Sense sense) {
  if (!other || other->models == group.models) return {};
  return view.statistics.difference(group, *other, sense);
}

Estimate kept(const StudyView& view, const ModelGroup& group, const std::optional<ModelGroup>& all) {
  if (!all) return {};
  return view.statistics.ratio(group, *all, Sense::kVisual);
}

std::string group_label(const StudyView& view, const ModelGroup& group) {
  return group_name(group, view.groups.setting());
}

// Rows that have a name, what varies, and the visual and text means.
ResultTable varied_table(const StudyView& view, const char* name, const char* title, const std::string& caption,
                         const std::vector<ModelGroup>& groups) {
  ResultTable table{.name = name,
                    .title = title,
                    .caption = caption,
                    .columns = {{"strategy"},
                                count_column("layers"),
                                {"data", Kind::kNumber, "%", 0},
                                count_column("seeds"),
                                interval_column("visual mean", "%"),
                                {"sd over seeds", Kind::kNumber, "points", 2},
                                interval_column("share of all layers' mean with as much data", "%"),
                                interval_column("text mean", "%")}};
  for (const ModelGroup& group : groups) {
    table.rows.push_back({text_cell(group_label(view, group)), number_cell(static_cast<double>(group.tuned_layers())),
                          number_cell(100 * group.tuning().data_fraction), count_cell(group.seeds().size()),
                          estimate_cell(view.statistics.mean(group, Sense::kVisual)),
                          number_cell(view.statistics.deviation(group, Sense::kVisual)),
                          estimate_cell(kept(view, group, view.groups.all(group.tuning().data_fraction))),
                          estimate_cell(view.statistics.mean(group, Sense::kText))});
  }
  return table;
}

// The mean score of the questions of a kind, over a group's models; NaN where none was asked.
double kind_mean(const ModelGroup& group, const StudiedBenchmark& benchmark, const std::string& kind) {
  double sum = 0;
  std::size_t count = 0;
  for (const StudiedModel* model : group.models) {
    const auto found = model->benchmarks.find(benchmark.name);
    if (found == model->benchmarks.end()) continue;
    for (std::size_t i = 0; i < benchmark.questions.size(); ++i) {
      if (benchmark.questions[i].kind != kind) continue;
      sum += found->second.questions[i];
      ++count;
    }
  }
  return count > 0 ? 100 * sum / static_cast<double>(count) : kNotMeasured;
}

// Whose numbers by benchmark are means over fewer seeds than those of the group with the most; empty: nobody's.
std::string fewer_seeds(const StudyView& view, const std::vector<ModelGroup>& groups) {
  std::size_t most = 0;
  for (const ModelGroup& group : groups) most = std::max(most, group.seeds().size());
  std::vector<std::string> fewer;
  for (const ModelGroup& group : groups) {
    if (!group.first().tuning) continue;
    for (const StudiedBenchmark& benchmark : view.results.benchmarks) {
      ModelGroup asked = group;
      std::erase_if(asked.models,
                    [&](const StudiedModel* model) { return !model->benchmarks.contains(benchmark.name); });
      const std::size_t seeds = asked.seeds().size();
      if (seeds > 0 && seeds < most)
        fewer.push_back(cat(group_label(view, group), " on ", benchmark.name, " (", seeds, ")"));
    }
  }
  return fewer.empty() ? "" : cat(" Over fewer than ", most, " seeds: ", join(fewer, "; "), ".");
}

}  // namespace

std::string layers_text(const ModelGroup& group) {
  for (const StudiedModel* model : group.models) {
    if (model->tuning && group.first().tuning && model->tuning->layers != group.tuning().layers) return "several";
  }
  if (!group.first().tuning) return "";
  return layer_list_text(group.tuning().layers);
}

std::vector<ModelGroup> compared_strategies(const StudyView& view) {
  return tuned_where(view, [&](const ModelGroup& group, const Tuning& t) {
    const bool size = t.strategy == "all" || group.tuned_layers() == view.groups.quarter();
    return size && is_usual(t) && t.data_fraction == 1;
  });
}

std::vector<ModelGroup> shown_groups(const StudyView& view) {
  std::vector<ModelGroup> out;
  for (const auto& before : {view.groups.base(), view.groups.aligned()}) {
    if (before) out.push_back(*before);
  }
  for (const ModelGroup& group : compared_strategies(view)) out.push_back(group);
  return out;
}

ResultTable strategies_table(const StudyView& view) {
  const auto all = view.groups.all();
  const auto random = view.groups.tuned({.strategy = "random", .layers = view.groups.quarter()});
  ResultTable table{.name = "strategies",
                    .title = "Strategies",
                    .caption = cat(kMeans, " Differences are paired: the same questions and seeds of both models."),
                    .columns = {{"strategy"},
                                {"layers"},
                                count_column("seeds"),
                                count_column("models"),
                                interval_column("visual mean", "%"),
                                {"sd over seeds", Kind::kNumber, "points", 2},
                                interval_column("against all", "points", true),
                                interval_column("share of all layers' mean", "%"),
                                interval_column("against random", "points", true),
                                interval_column("text mean", "%"),
                                interval_column("text against all", "points", true)}};
  for (const ModelGroup& group : compared_strategies(view)) {
    table.rows.push_back(
        {text_cell(group_label(view, group)), text_cell(layers_text(group)), count_cell(group.seeds().size()),
         count_cell(group.models.size()), estimate_cell(view.statistics.mean(group, Sense::kVisual)),
         number_cell(view.statistics.deviation(group, Sense::kVisual)),
         estimate_cell(against(view, group, all, Sense::kVisual)), estimate_cell(kept(view, group, all)),
         estimate_cell(against(view, group, random, Sense::kVisual)),
         estimate_cell(view.statistics.mean(group, Sense::kText)),
         estimate_cell(against(view, group, all, Sense::kText))});
  }
  return table;
}

ResultTable benchmarks_table(const StudyView& view) {
  const std::vector<ModelGroup> groups = shown_groups(view);
  ResultTable table{
      .name = "benchmarks",
      .title = "Scores by benchmark",
      .caption = cat("Means over seeds and standard deviations over them, by each benchmark's own protocol.",
                     fewer_seeds(view, groups)),
      .columns = {{"model"}}};
  for (const StudiedBenchmark& benchmark : view.results.benchmarks)
    table.columns.push_back({.name = cat(benchmark.name, " (", name(benchmark.sense), ")"),
                             .kind = Kind::kSpread,
                             .unit = benchmark.unit,
                             .decimals = 2});
  for (const ModelGroup& group : groups) {
    std::vector<TableCell> row = {text_cell(group_label(view, group))};
    for (const StudiedBenchmark& benchmark : view.results.benchmarks) {
      const OfModel score = [&](const StudiedModel& model) {
        const auto found = model.benchmarks.find(benchmark.name);
        return found == model.benchmarks.end() ? kNotMeasured : found->second.score;
      };
      row.push_back(spread_cell(over_seeds(group, score).value, deviation_over_seeds(group, score)));
    }
    table.rows.push_back(std::move(row));
  }
  if (view.results.benchmarks.empty()) table.rows.clear();
  return table;
}

ResultTable kinds_table(const StudyView& view) {
  const std::vector<ModelGroup> groups = shown_groups(view);
  ResultTable table{.name = "kinds",
                    .title = "Scores by kind of question",
                    .caption = cat("The mean score of the questions of each kind, over seeds, in percent.",
                                   fewer_seeds(view, groups)),
                    .columns = {{"benchmark"}, {"kind"}, count_column("questions")}};
  for (const ModelGroup& group : groups) table.columns.push_back({group_label(view, group), Kind::kNumber, "", 1});
  for (const StudiedBenchmark& benchmark : view.results.benchmarks) {
    std::map<std::string, std::size_t> kinds;
    for (const AskedQuestion& question : benchmark.questions) {
      if (!question.kind.empty()) ++kinds[question.kind];
    }
    for (const auto& [kind, count] : kinds) {
      std::vector<TableCell> row = {text_cell(benchmark.name), text_cell(kind), count_cell(count)};
      for (const ModelGroup& group : groups) row.push_back(number_cell(kind_mean(group, benchmark, kind)));
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

ResultTable sizes_table(const StudyView& view) {
  std::map<std::string, std::set<std::int64_t>> sizes;
  const auto usual = [](const Tuning& t) { return is_usual(t) && t.data_fraction == 1; };
  for (const ModelGroup& group : tuned_where(view, [&](const ModelGroup&, const Tuning& t) { return usual(t); }))
    sizes[group.tuning().strategy].insert(group.tuned_layers());
  const bool varied = std::ranges::any_of(sizes, [](const auto& entry) { return entry.second.size() > 1; });
  std::vector<ModelGroup> groups;
  if (varied) {
    groups = tuned_where(view, [&](const ModelGroup&, const Tuning& t) {
      return usual(t) && (t.strategy == "all" || sizes[t.strategy].size() > 1);
    });
  }
  return varied_table(view, "sizes", "How many layers", kMeans, groups);
}

ResultTable data_table(const StudyView& view) {
  std::set<std::string> varied;
  for (const ModelGroup& group :
       tuned_where(view, [](const ModelGroup&, const Tuning& t) { return is_usual(t) && t.data_fraction != 1; }))
    varied.insert(group.tuning().strategy);
  return varied_table(view, "data", "How much data", kMeans,
                      tuned_where(view, [&](const ModelGroup& group, const Tuning& t) {
                        const bool size = t.strategy == "all" || group.tuned_layers() == view.groups.quarter();
                        return size && is_usual(t) && varied.contains(t.strategy);
                      }));
}

ResultTable offsets_table(const StudyView& view) {
  std::set<std::pair<std::string, std::int64_t>> varied;
  const auto usual = [](const Tuning& t) { return t.modules == "all" && t.data_fraction == 1; };
  for (const ModelGroup& group :
       tuned_where(view, [&](const ModelGroup&, const Tuning& t) { return usual(t) && t.offset != 0; }))
    varied.emplace(group.tuning().strategy, group.tuned_layers());
  return varied_table(view, "offsets", "Where the grid begins",
                      cat(kMeans, " The same spread, moved up by the offset: how far the place of the grid matters."),
                      tuned_where(view, [&](const ModelGroup& group, const Tuning& t) {
                        return usual(t) && varied.contains({t.strategy, group.tuned_layers()});
                      }));
}

ResultTable modules_table(const StudyView& view) {
  std::set<std::pair<std::string, std::int64_t>> varied;
  const auto usual = [](const Tuning& t) { return t.offset == 0 && t.data_fraction == 1; };
  for (const ModelGroup& group :
       tuned_where(view, [&](const ModelGroup&, const Tuning& t) { return usual(t) && t.modules != "all"; }))
    varied.emplace(group.tuning().strategy, group.tuned_layers());
  return varied_table(view, "modules", "Which linears",
                      cat(kMeans,
                          " \"attention\": the projections of attention alone; \"gate-up\": the first two of "
                          "the MLP alone; otherwise all linears of the layers."),
                      tuned_where(view, [&](const ModelGroup& group, const Tuning& t) {
                        return usual(t) && varied.contains({t.strategy, group.tuned_layers()});
                      }));
}

ResultTable rates_table(const StudyView& view) {
  ResultTable table{.name = "rates",
                    .title = "Learning rates tried",
                    .caption =
                        "One run each, with a seed that no other number here counts. Judged by: the mean score of the "
                        "benchmarks for validation, or the loss; -: the loss did not stay finite.",
                    .columns = {{"strategy"},
                                count_column("layers"),
                                {"learning rate"},
                                {"seed"},
                                {"judged by", Kind::kNumber, "", 4},
                                {"visual loss", Kind::kNumber, "nats", 4}}};
  const OfModel loss = mean_loss(view.results, Sense::kVisual);
  for (const StudiedModel& model : view.results.models) {
    if (!model.tuning || !model.tuning->trial || model.treatment != Treatment::kTuned) continue;
    if (model.model != view.groups.setting().model || model.data != view.groups.setting().data) continue;
    const Tuning& t = *model.tuning;
    table.rows.push_back({text_cell(t.strategy),
                          t.layers.empty() ? number_cell(kNotMeasured) : count_cell(t.layers.size()),
                          text_cell(formatted(t.learning_rate, "%g")), text_cell(std::to_string(t.seed)),
                          number_cell(model.judged.value_or(kNotMeasured)), number_cell(loss(model))});
  }
  return table;
}

}  // namespace striate::study
