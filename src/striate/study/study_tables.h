// The tables of one setting of a study: what was measured, by strategy, size, data, removal, healing and cost.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "striate/study/claims.h"
#include "striate/study/groups.h"
#include "striate/study/result_table.h"
#include "striate/study/statistics.h"

namespace striate::study {

// What tables and charts of a setting are made of. All of it must outlive them.
struct StudyView {
  const StudyResults& results;
  const Statistics& statistics;
  const StudyGroups& groups;
};

ResultTable claims_table(const std::vector<Claim>& claims);

// All layers and every rule at a quarter of them, on all of the data, with all linears, at offset 0.
std::vector<ModelGroup> compared_strategies(const StudyView& view);
// The base, the aligned model and those.
std::vector<ModelGroup> shown_groups(const StudyView& view);
ResultTable strategies_table(const StudyView& view);
// The same groups, and what they were made of, by benchmark and by kind of question.
ResultTable benchmarks_table(const StudyView& view);
ResultTable kinds_table(const StudyView& view);
// What differs in one thing from those; empty where nothing does.
ResultTable sizes_table(const StudyView& view);
ResultTable data_table(const StudyView& view);
ResultTable offsets_table(const StudyView& view);
ResultTable modules_table(const StudyView& view);
ResultTable rates_table(const StudyView& view);  // the search for learning rates

ResultTable reversion_table(const StudyView& view);
ResultTable pruning_table(const StudyView& view);
ResultTable healing_table(const StudyView& view);

ResultTable layer_scores_table(const StudyView& view);
ResultTable loss_curves_table(const StudyView& view);
ResultTable losses_table(const StudyView& view);
ResultTable cost_table(const StudyView& view);
ResultTable models_table(const StudyView& view);  // every model by itself

// What the paper reports (via a note), beside what was measured here.
ResultTable paper_strategies_table(const StudyView& view);
ResultTable paper_sizes_table(const StudyView& view);
ResultTable paper_text_table(const StudyView& view);

// Every table above that is not empty, the claims first.
std::vector<ResultTable> tables_of(const StudyView& view, const std::vector<Claim>& claims);

// The mean over a group's models of each layer's score, by metric.
std::map<std::string, std::vector<double>> mean_layer_scores(const ModelGroup& group, std::size_t layers);
// The mean loss over a group's models in windows of steps, each at its last step.
std::vector<LossPoint> mean_curve(const ModelGroup& group);

// "0,4,8-11"; "several" where the models of a group have others.
std::string layers_text(const ModelGroup& group);
// The mean loss of a model on all held-out data of one sense that the study measures; NaN where one of them is missing.
OfModel mean_loss(const StudyResults& results, Sense sense);

}  // namespace striate::study
