// Tables of what was made of tuned models: reverted, pruned, healed.
#include <array>

#include "striate/base/strings.h"
#include "striate/model/layer_set.h"
#include "striate/study/study_tables.h"

namespace striate::study {
namespace {

using Kind = TableColumn::Kind;

TableColumn changed_column(const char* name, const char* unit, bool with_sign = false) {
  return {.name = name, .kind = Kind::kEstimate, .unit = unit, .decimals = 2, .with_sign = with_sign};
}

// The removed layers where all models of a group lost the same.
std::string removed_text(const ModelGroup& group) {
  if (!group.first().removal) return "";
  for (const StudiedModel* model : group.models) {
    if (model->removal->layers != group.first().removal->layers) return "several";
  }
  return layer_list_text(group.first().removal->layers);
}

std::string made_of(const StudyView& view, const ModelGroup& group) {
  return group.first().tuning ? view.groups.name_with_rate(group) : "";
}

double rate_of(const StudiedModel& model, double AnsweringCost::*rate) {
  return model.answering && *model.answering.*rate > 0 ? *model.answering.*rate : kNotMeasured;
}

double weight_megabytes(const StudiedModel& model) {
  return model.answering && model.answering->weights > 0 ? static_cast<double>(model.answering->weights) / 1e6
                                                         : kNotMeasured;
}

std::vector<TableCell> pruned_row(const StudyView& view, const ModelGroup& group, const ModelGroup& source) {
  const Statistics& s = view.statistics;
  const auto mean = [&](const OfModel& number) { return number_cell(over_seeds(group, number).value); };
  const bool pruned = group.first().removal.has_value();
  const Removal removal = pruned ? *group.first().removal : Removal{};
  return {text_cell(made_of(view, group)),
          text_cell(pruned ? name(removal.where) : "-"),
          text_cell(pruned ? cat(removal.metric, removal.spaced ? ", spaced" : "") : "-"),
          number_cell(static_cast<double>(group.removed())),
          text_cell(pruned ? removed_text(group) : "-"),
          number_cell(static_cast<double>(group.seeds().size())),
          estimate_cell(s.mean(group, Sense::kVisual)),
          estimate_cell(pruned ? s.difference(group, source, Sense::kVisual) : Estimate{}),
          estimate_cell(s.mean(group, Sense::kText)),
          estimate_cell(pruned ? s.difference(group, source, Sense::kText) : Estimate{}),
          mean([](const StudiedModel& m) { return rate_of(m, &AnsweringCost::prefill_tokens_per_second); }),
          mean([](const StudiedModel& m) { return rate_of(m, &AnsweringCost::decode_tokens_per_second); }),
          mean(weight_megabytes)};
}

}  // namespace

ResultTable reversion_table(const StudyView& view) {
  ResultTable table{.name = "reversion",
                    .title = "Layers given back their weights from before tuning",
                    .caption = "Means over seeds; differences against the same model with all that it learned.",
                    .columns = {{"model"},
                                {"reverted layers"},
                                {"reverted", Kind::kNumber, "", 0},
                                {"seeds", Kind::kNumber, "", 0},
                                changed_column("visual mean", "%"),
                                changed_column("visual difference", "points", true),
                                changed_column("text mean", "%"),
                                changed_column("text difference", "points", true)}};
  for (const ModelGroup& group : view.groups.of(Treatment::kReverted)) {
    const auto source = view.groups.source(group);
    const auto difference = [&](Sense sense) {
      return estimate_cell(source ? view.statistics.difference(group, *source, sense) : Estimate{});
    };
    const std::vector<std::int64_t>& reverted = group.first().reverted;
    table.rows.push_back({text_cell(made_of(view, group)), text_cell(layer_list_text(reverted)),
                          number_cell(static_cast<double>(reverted.size())),
                          number_cell(static_cast<double>(group.seeds().size())),
                          estimate_cell(view.statistics.mean(group, Sense::kVisual)), difference(Sense::kVisual),
                          estimate_cell(view.statistics.mean(group, Sense::kText)), difference(Sense::kText)});
  }
  return table;
}

ResultTable pruning_table(const StudyView& view) {
  ResultTable table{.name = "pruning",
                    .title = "Layers removed",
                    .caption =
                        "Means over the seeds of which layers were removed, before any healing; differences against "
                        "the same models with all of their layers. Intervals are over questions and seeds; of one "
                        "seed over questions alone.",
                    .columns = {{"model"},
                                {"removed from"},
                                {"chosen by"},
                                {"removed", Kind::kNumber, "", 0},
                                {"layers"},
                                {"seeds", Kind::kNumber, "", 0},
                                changed_column("visual mean", "%"),
                                changed_column("visual difference", "points", true),
                                changed_column("text mean", "%"),
                                changed_column("text difference", "points", true),
                                {"prefill", Kind::kNumber, "tokens/s", 0},
                                {"decode", Kind::kNumber, "tokens/s", 1},
                                {"weights", Kind::kNumber, "MB", 1}}};
  const ModelGroup* before = nullptr;
  const std::vector<ModelGroup> tuned = view.groups.of(Treatment::kTuned);
  const std::vector<ModelGroup> pruned = view.groups.of(Treatment::kPruned);
  for (const ModelGroup& source : tuned) {
    for (const ModelGroup& group : pruned) {
      const auto of = view.groups.source(group);
      if (!of || of->models != source.models) continue;
      if (before != &source) table.rows.push_back(pruned_row(view, view.groups.pruned_sources(source), source));
      before = &source;
      table.rows.push_back(pruned_row(view, group, source));
    }
  }
  return table;
}

ResultTable healing_table(const StudyView& view) {
  ResultTable table{.name = "healing",
                    .title = "Healing",
                    .caption =
                        "Means over seeds after the removal and after the short tuning that follows it, which "
                        "trains the projector, the region, or (beside-cuts) the layers that are left beside each "
                        "cut; the second difference is against the model from which nothing was removed, given the "
                        "same tuning. Intervals are over questions and seeds; of one seed over questions alone.",
                    .columns = {{"model"},
                                {"removed from"},
                                {"removed", Kind::kNumber, "", 0},
                                {"healing trained"},
                                {"seeds", Kind::kNumber, "", 0},
                                changed_column("visual mean, pruned", "%"),
                                changed_column("visual mean, healed", "%"),
                                changed_column("won back", "points", true),
                                changed_column("against the unpruned model, tuned alike", "points", true),
                                changed_column("text mean, healed", "%")}};
  const std::vector<ModelGroup> healed = view.groups.of(Treatment::kHealed);
  for (const ModelGroup& group : healed) {
    const Healing& healing = *group.first().healing;
    const auto source = view.groups.source(group);
    std::optional<ModelGroup> cut, alike;
    if (source && group.first().removal) {
      const Removal& removal = *group.first().removal;
      cut = view.groups.pruned(*source, {removal.metric, removal.where, removal.spaced}, group.removed());
    }
    for (const ModelGroup& other : healed) {
      const auto of = view.groups.source(other);
      if (!healing.unpruned && other.first().healing->unpruned && other.first().healing->trained == healing.trained &&
          of && source && of->models == source->models)
        alike = other;
    }
    const auto against = [&](const std::optional<ModelGroup>& other) {
      return estimate_cell(other ? view.statistics.difference(group, *other, Sense::kVisual) : Estimate{});
    };
    table.rows.push_back({text_cell(made_of(view, group)),
                          text_cell(healing.unpruned        ? "nothing removed"
                                    : group.first().removal ? name(group.first().removal->where)
                                                            : "-"),
                          number_cell(static_cast<double>(group.removed())), text_cell(healing.trained),
                          number_cell(static_cast<double>(group.seeds().size())),
                          estimate_cell(cut ? view.statistics.mean(*cut, Sense::kVisual) : Estimate{}),
                          estimate_cell(view.statistics.mean(group, Sense::kVisual)), against(cut), against(alike),
                          estimate_cell(view.statistics.mean(group, Sense::kText))});
  }
  return table;
}

}  // namespace striate::study
