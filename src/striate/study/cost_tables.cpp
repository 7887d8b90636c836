// Tables of losses, of what tuning took, and of every model by itself.
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "striate/base/strings.h"
#include "striate/report/numbers.h"
#include "striate/study/study_tables.h"

namespace striate::study {
namespace {

using Kind = TableColumn::Kind;

double tokens_per_second(const StudiedModel& model) {
  if (!model.taken || !(model.taken->seconds > 0)) return kNotMeasured;
  return static_cast<double>(model.taken->tokens) / model.taken->seconds;
}

std::vector<TableCell> model_row(const StudyView& view, const StudiedModel& model, const OfModel& visual_loss,
                                 const OfModel& text_loss) {
  const Tuning t = model.tuning.value_or(Tuning{});
  const ModelGroup alone{{&model}};
  const bool tuned = model.tuning.has_value();
  const auto number = [](double value) { return number_cell(value); };
  return {text_cell(model.part.empty() ? model.cell : cat(model.cell, ", ", model.part)),
          text_cell(name(model.treatment)),
          text_cell(t.layers_text),
          text_cell(tuned ? layers_text(alone) : ""),
          text_cell(t.modules),
          number(tuned ? 100 * t.data_fraction : kNotMeasured),
          text_cell(tuned ? formatted(t.learning_rate, "%g") : ""),
          text_cell(tuned ? std::to_string(t.seed) : ""),
          text_cell(t.trial ? "yes" : ""),
          number(static_cast<double>(alone.removed())),
          number(view.statistics.mean(alone, Sense::kVisual).value),
          number(view.statistics.mean(alone, Sense::kText).value),
          number(visual_loss(model)),
          number(text_loss(model)),
          number(model.taken ? model.taken->seconds : kNotMeasured)};
}

}  // namespace

OfModel mean_loss(const StudyResults& results, Sense sense) {
  std::set<std::string> data;
  for (const StudiedModel& model : results.models) {
    for (const auto& [name, loss] : model.losses) {
      if (loss.sense == sense) data.insert(name);
    }
  }
  return [data = std::move(data)](const StudiedModel& model) {
    double sum = 0;
    for (const std::string& name : data) {
      const auto found = model.losses.find(name);
      sum += found == model.losses.end() ? kNotMeasured : found->second.loss;
    }
    return data.empty() ? kNotMeasured : sum / static_cast<double>(data.size());
  };
}

ResultTable losses_table(const StudyView& view) {
  ResultTable table{.name = "losses",
                    .title = "Losses on held-out data",
                    .caption =
                        "Mean negative log-likelihood of the answers' tokens, in nats; lower is better. Means "
                        "over seeds, in brackets Student's 95% intervals of them, which end at 0.",
                    .columns = {{"model"}}};
  std::map<std::string, Sense> data;
  for (const StudiedModel& model : view.results.models) {
    for (const auto& [held_out, loss] : model.losses) data.emplace(held_out, loss.sense);
  }
  for (const auto& [held_out, sense] : data)
    table.columns.push_back({.name = cat(held_out, " (", name(sense), ")"), .kind = Kind::kEstimate, .decimals = 4});
  for (const ModelGroup& group : shown_groups(view)) {
    std::vector<TableCell> row = {text_cell(group_name(group, view.groups.setting()))};
    for (const auto& [held_out, sense] : data) {
      const Estimate loss = over_seeds(group, [&](const StudiedModel& model) {
        const auto found = model.losses.find(held_out);
        return found == model.losses.end() ? kNotMeasured : found->second.loss;
      });
      row.push_back(estimate_cell(floored(loss, 0)));
    }
    table.rows.push_back(std::move(row));
  }
  if (data.empty()) table.rows.clear();
  return table;
}

ResultTable cost_table(const StudyView& view) {
  ResultTable table{.name = "cost",
                    .title = "Time and memory of tuning",
                    .caption =
                        "Means over seeds; saved: the share of the time of tuning all layers on as much data, "
                        "paired by seed, in brackets Student's 95% interval. Several runs at once slow each "
                        "other down: processor time is the steadier number. Times are those of the steps; where "
                        "the runs share features of pictures, without what it took to get the samples. Intervals "
                        "end at what is possible: 0 s, and 100% saved.",
                    .columns = {{"strategy"},
                                {"seeds", Kind::kNumber, "", 0},
                                {"trained", Kind::kNumber, "parameters", 0},
                                {"elapsed", Kind::kNumber, "s", 1},
                                {.name = "elapsed time saved", .kind = Kind::kEstimate, .unit = "%"},
                                {"processor", Kind::kNumber, "s", 1},
                                {.name = "processor time saved", .kind = Kind::kEstimate, .unit = "%"},
                                {"step", Kind::kNumber, "ms", 1},
                                {"speed", Kind::kNumber, "tokens/s", 0},
                                {"peak memory", Kind::kNumber, "MB", 0}}};
  bool any = false;
  for (const ModelGroup& group : view.groups.of(Treatment::kTuned)) {
    const OfModel elapsed = taken_number(&RunTaken::seconds), busy = taken_number(&RunTaken::processor_seconds);
    const auto mean = [&](const OfModel& number) { return number_cell(over_seeds(group, number).value); };
    const auto all = view.groups.all(group.tuning().data_fraction);
    const auto saved = [&](const OfModel& number) {
      if (!all || all->models == group.models) return estimate_cell({});
      const Estimate estimate = over_seeds(std::array{group, *all}, number, [](std::span<const double> means) {
        return 100 * (1 - means[0] / means[1]);
      });
      return estimate_cell(capped(estimate, 100));
    };
    any = any || over_seeds(group, elapsed).measured();
    table.rows.push_back({text_cell(view.groups.name_with_rate(group)),
                          number_cell(static_cast<double>(group.seeds().size())),
                          mean(taken_number(&RunTaken::trained_parameters)), mean(elapsed), saved(elapsed), mean(busy),
                          saved(busy), mean(taken_number(&RunTaken::step_seconds, 1e-3)), mean(tokens_per_second),
                          mean(taken_number(&RunTaken::peak_memory, 1e6))});
  }
  if (!any) table.rows.clear();
  return table;
}

ResultTable models_table(const StudyView& view) {
  ResultTable table{.name = "models",
                    .title = "Every model",
                    .caption = "Each by itself: means over the benchmarks that it was asked.",
                    .columns = {{"cell"},
                                {"what"},
                                {"specification"},
                                {"layers"},
                                {"linears"},
                                {"data", Kind::kNumber, "%", 0},
                                {"learning rate"},
                                {"seed"},
                                {"learning-rate search"},
                                {"removed", Kind::kNumber, "", 0},
                                {"visual mean", Kind::kNumber, "%", 2},
                                {"text mean", Kind::kNumber, "%", 2},
                                {"visual loss", Kind::kNumber, "nats", 4},
                                {"text loss", Kind::kNumber, "nats", 4},
                                {"elapsed", Kind::kNumber, "s", 1}}};
  const StudySetting& setting = view.groups.setting();
  const OfModel visual_loss = mean_loss(view.results, Sense::kVisual);
  const OfModel text_loss = mean_loss(view.results, Sense::kText);
  for (const StudiedModel& model : view.results.models) {
    if (model.model == setting.model && (!model.tuning || model.data == setting.data))
      table.rows.push_back(model_row(view, model, visual_loss, text_loss));
  }
  return table;
}

}  // namespace striate::study
