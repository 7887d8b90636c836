// The paper's figures, as one third-party note reports them, beside what was measured here.
#include <array>
#include <optional>

#include "striate/base/strings.h"
#include "striate/study/study_tables.h"

namespace striate::study {
namespace {

using Kind = TableColumn::Kind;

constexpr const char* kPaperNote =
    "The paper's figures are reported by the paper (via a note): Bunny-Llama-3-8B-V, 32 layers, average of ten "
    "benchmarks. They are of other models and other benchmarks; what may be compared is the share of the mean of all "
    "layers.";

struct PaperStrategy {
  const char* strategy;  // ours
  const char* words;
  double average;
};
constexpr std::array<PaperStrategy, 6> kPaperStrategies = {{{"all", "all layers", 62.18},
                                                            {"uniform", "sparse & uniform", 61.82},
                                                            {"bottom", "consecutive bottom", 60.24},
                                                            {"top", "consecutive top", 57.26},
                                                            {"score:param_change", "parameter change ratio", 61.45},
                                                            {"score:angular", "angular distance", 60.77}}};
constexpr double kPaperAll = 62.18;

struct PaperSize {
  std::int64_t layers;  // of 32
  double average;
};
constexpr std::array<PaperSize, 7> kPaperSizes = {
    {{32, 62.18}, {16, 61.82}, {8, 61.78}, {6, 61.55}, {4, 60.94}, {2, 60.00}, {1, 57.14}}};

struct PaperText {
  const char* model;
  const char* task;
  double all, quarter, base;
};
constexpr std::array<PaperText, 8> kPaperTexts = {{{"Bunny-8B", "MMLU", 60.27, 63.36, 66.01},
                                                   {"Bunny-8B", "BBH", 30.93, 31.50, 57.93},
                                                   {"Bunny-8B", "C-Eval", 45.84, 49.70, 50.52},
                                                   {"Bunny-8B", "CMMLU", 45.68, 48.39, 50.70},
                                                   {"LLaVA-7B", "MMLU", 50.52, 50.74, 49.78},
                                                   {"LLaVA-7B", "BBH", 26.85, 31.64, 29.33},
                                                   {"LLaVA-7B", "C-Eval", 38.34, 39.08, 38.78},
                                                   {"LLaVA-7B", "CMMLU", 37.27, 37.71, 36.60}}};

TableColumn paper_estimate(const char* name) {
  return {.name = name, .kind = Kind::kEstimate, .unit = "%", .decimals = 2};
}

std::vector<TableCell> beside(const StudyView& view, const std::optional<ModelGroup>& here, double average) {
  const auto all = view.groups.all();
  return {estimate_cell(here ? view.statistics.mean(*here, Sense::kVisual) : Estimate{}), number_cell(average),
          estimate_cell(here && all ? view.statistics.ratio(*here, *all, Sense::kVisual) : Estimate{}),
          number_cell(100 * average / kPaperAll)};
}

}  // namespace

ResultTable paper_strategies_table(const StudyView& view) {
  ResultTable table{.name = "paper-strategies",
                    .title = "Strategies, beside the paper's",
                    .caption = cat(kPaperNote, " The paper tuned 8 of the 32 layers, or all."),
                    .columns = {{"strategy"},
                                {"in the paper"},
                                paper_estimate("visual mean here"),
                                {"average in the paper", Kind::kNumber, "%", 2},
                                paper_estimate("share of all layers' mean here"),
                                {"share of all layers' mean in the paper", Kind::kNumber, "%", 2}}};
  bool any = false;
  for (const PaperStrategy& paper : kPaperStrategies) {
    const std::string strategy = paper.strategy;
    const auto here = strategy == "all" ? view.groups.all()
                      : strategy == "uniform"
                          ? view.groups.spread(view.groups.quarter())
                          : view.groups.tuned({.strategy = strategy, .layers = view.groups.quarter()});
    any = any || here.has_value();
    std::vector<TableCell> row = {text_cell(here ? here->tuning().strategy : strategy), text_cell(paper.words)};
    for (TableCell& cell : beside(view, here, paper.average)) row.push_back(std::move(cell));
    table.rows.push_back(std::move(row));
  }
  if (!any) table.rows.clear();
  return table;
}

ResultTable paper_sizes_table(const StudyView& view) {
  ResultTable table{.name = "paper-sizes",
                    .title = "How many layers, beside the paper's",
                    .caption = cat(kPaperNote, " Sizes are matched by the share of the layers."),
                    .columns = {{"layers in the paper, of 32", Kind::kNumber, "", 0},
                                {"layers here", Kind::kNumber, "", 0},
                                paper_estimate("visual mean here"),
                                {"average in the paper", Kind::kNumber, "%", 2},
                                paper_estimate("share of all layers' mean here"),
                                {"share of all layers' mean in the paper", Kind::kNumber, "%", 2}}};
  int matched = 0;
  const std::int64_t layers = view.groups.setting().layers;
  for (const PaperSize& paper : kPaperSizes) {
    const bool whole = paper.layers * layers % 32 == 0;
    const std::int64_t count = paper.layers * layers / 32;
    const auto here = !whole || count == 0 ? std::nullopt
                      : count == layers    ? view.groups.all()
                                           : view.groups.spread(count);
    matched += here ? 1 : 0;
    std::vector<TableCell> row = {number_cell(static_cast<double>(paper.layers)),
                                  number_cell(whole && count > 0 ? static_cast<double>(count) : kNotMeasured)};
    for (TableCell& cell : beside(view, here, paper.average)) row.push_back(std::move(cell));
    table.rows.push_back(std::move(row));
  }
  if (matched < 3) table.rows.clear();
  return table;
}

ResultTable paper_text_table(const StudyView& view) {
  ResultTable table{.name = "paper-text",
                    .title = "Text tasks, beside the paper's",
                    .caption =
                        "Reported by the paper (via a note); here: the mean of this study's text benchmarks, of "
                        "the model before tuning, with all layers tuned, and with an evenly spread quarter.",
                    .columns = {{"model"},
                                {"task"},
                                {"before tuning", Kind::kNumber, "%", 2},
                                {"all", Kind::kNumber, "%", 2},
                                {"a quarter", Kind::kNumber, "%", 2},
                                {"a quarter against all", Kind::kNumber, "points", 2, true}}};
  const auto base = view.groups.base(), all = view.groups.all(), quarter = view.groups.spread(view.groups.quarter());
  if (!all || !quarter) return table;
  const auto mean = [&](const std::optional<ModelGroup>& group) {
    return group ? view.statistics.mean(*group, Sense::kText).value : kNotMeasured;
  };
  const Estimate difference = view.statistics.difference(*quarter, *all, Sense::kText);
  if (!difference.measured()) return table;
  table.rows.push_back({text_cell(view.groups.setting().model), text_cell("mean of this study's"),
                        number_cell(mean(base)), number_cell(mean(all)), number_cell(mean(quarter)),
                        number_cell(difference.value)});
  for (const PaperText& paper : kPaperTexts) {
    table.rows.push_back({text_cell(paper.model), text_cell(paper.task), number_cell(paper.base),
                          number_cell(paper.all), number_cell(paper.quarter), number_cell(paper.quarter - paper.all)});
  }
  return table;
}

ResultTable claims_table(const std::vector<Claim>& claims) {
  ResultTable table{.name = "claims",
                    .title = "The paper's claims, tested",
                    .caption =
                        "Each verdict follows from the interval by the rule next to it, and from nothing else. "
                        "Intervals are not corrected for the number of claims.",
                    .columns = {{"letter"},
                                {"claim"},
                                {"verdict"},
                                {.name = "measured", .kind = Kind::kEstimate, .decimals = 3},
                                {"unit"},
                                {"what"},
                                {"seeds", Kind::kNumber, "", 0},
                                {"missing"},
                                {"rule"},
                                {"the paper (via a note)"}}};
  for (const Claim& claim : claims) {
    const bool seeds = claim.estimate.seeds > 0;
    table.rows.push_back({text_cell(claim.letter), text_cell(claim.text), text_cell(name(claim.verdict)),
                          estimate_cell(claim.estimate), text_cell(claim.unit), text_cell(claim.quantity),
                          number_cell(seeds ? static_cast<double>(claim.estimate.seeds) : kNotMeasured),
                          text_cell(claim.missing), text_cell(claim.rule), text_cell(claim.paper)});
  }
  return table;
}

std::vector<ResultTable> tables_of(const StudyView& view, const std::vector<Claim>& claims) {
  std::vector<ResultTable> out = {claims_table(claims),     strategies_table(view),  paper_strategies_table(view),
                                  paper_sizes_table(view),  paper_text_table(view),  benchmarks_table(view),
                                  kinds_table(view),        sizes_table(view),       data_table(view),
                                  offsets_table(view),      modules_table(view),     rates_table(view),
                                  reversion_table(view),    pruning_table(view),     healing_table(view),
                                  layer_scores_table(view), loss_curves_table(view), losses_table(view),
                                  cost_table(view),         models_table(view)};
  std::erase_if(out, [](const ResultTable& table) { return table.empty(); });
  return out;
}

}  // namespace striate::study
