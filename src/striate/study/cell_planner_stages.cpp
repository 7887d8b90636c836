// The stages after tuning: scores, reversion, pruning, healing.
#include <algorithm>

#include "striate/base/strings.h"
#include "striate/region/layer_grammar.h"
#include "striate/study/cell_planner.h"
#include "striate/study/cell_settings.h"

namespace striate::study {
namespace {

using nlohmann::json;

template <typename Item>
bool has_or_is_open(const std::vector<Item>& list, const Item& item) {
  return list.empty() || std::find(list.begin(), list.end(), item) != list.end();
}

bool is_param_change(const std::string& strategy) {
  return strategy.ends_with(":param_change");
}

}  // namespace

bool CellPlanner::is_selected(const Selection& of, const Cell& tune) const {
  const Tuning& tuning = *tune.tuning;
  // A rule without a size, offset or draw is not left out for having none.
  std::vector<std::string> sizes;  // as numbers of layers
  for (const std::string& size : of.sizes) {
    const std::string whole = size == "all" ? "100%" : size;
    sizes.push_back(std::to_string(parse_layer_set(cat("bottom:", whole), layers_[tune.model]).count()));
  }
  const bool size = tune.size.empty() || has_or_is_open(sizes, tune.size);
  const bool offset = tuning.strategy != "uniform" || has_or_is_open(of.offsets, tuning.offset);
  const bool draw = tuning.strategy != "random" || has_or_is_open(of.draws, tuning.draw);
  return size && offset && draw && has_or_is_open(of.strategies, tuning.strategy) &&
         has_or_is_open(of.modules, tuning.modules) && has_or_is_open(of.fractions, tuning.data_fraction) &&
         has_or_is_open(of.seeds, tuning.seed) && has_or_is_open(of.models, study_.models[tune.model].name) &&
         has_or_is_open(of.data, study_.data[tune.data].name);
}

std::size_t CellPlanner::score(const Cell& of, std::int64_t samples, bool change) {
  Cell cell = of;
  cell.kind = CellKind::kScore;
  const DataDefinition& data = study_.data[cell.data];
  json settings = origin_settings(cell);
  settings["data"] = {path_setting(data.train, cell), path_setting(data.images, cell)};
  settings["samples"] = samples;
  settings["change"] = change;
  cell.samples = samples;
  const std::string words = words_of(cell);
  return add(std::move(cell), words, std::move(settings));
}

std::optional<std::size_t> CellPlanner::scores_for(const Cell& tuning) {
  if (tuning.tuning->strategy.find(':') == std::string::npos) return std::nullopt;
  const std::int64_t samples = study_.score ? study_.score->samples : ScoreStage().samples;
  if (is_param_change(tuning.tuning->strategy)) {
    // What tuning changes is known once every layer was tuned.
    Cell all = tuning;
    all.size.clear();
    all.scores.reset();
    all.tuning->strategy = "all";
    all.tuning->offset = all.tuning->draw = 0;
    all.align.reset();
    if (all.choice) {
      all.choice.reset();
      all.choice = choose(all);
    }
    return score(after(tune(std::move(all)), CellKind::kScore), samples, true);
  }
  Cell start;
  start.model = tuning.model;
  start.data = tuning.data;
  start.align = tuning.align;
  start.treatment = tuning.align ? Treatment::kAligned : Treatment::kBase;
  return score(start, samples, false);
}

void CellPlanner::plan_reversions(std::size_t tune) {
  for (const std::string& layers : study_.revert->layers) {
    Cell cell = after(tune, CellKind::kRevert);
    cell.treatment = Treatment::kReverted;
    cell.layers = layers;
    json settings = origin_settings(cell);
    settings["layers"] = layers;
    const std::string words = words_of(cell);
    measure_result(add(std::move(cell), words, std::move(settings)), false);
  }
}

// Of a model tuned as a whole there is nothing outside the region.
void CellPlanner::plan_prunings(std::size_t tune) {
  const PruneStage& stage = *study_.prune;
  const bool whole = cells_[tune].tuning->strategy == "all";
  const std::vector<Removal::Where> anywhere = {Removal::Where::kAnywhere};
  const std::size_t scores = score(after(tune, CellKind::kScore), stage.samples, true);
  for (const Removal::Where where : whole ? anywhere : stage.where) {
    for (const std::string& metric : stage.metrics) {
      for (const bool spaced : stage.spaced) {
        Cell cell = after(tune, CellKind::kPrune);
        cell.treatment = Treatment::kPruned;
        cell.scores = scores;
        cell.removed = stage.most;
        cell.where = where;
        cell.metric = metric;
        cell.spaced = spaced;
        json settings = origin_settings(cell);
        settings["scores"] = id_of(scores);
        settings["removal"] = {stage.most, name(where), metric, spaced};
        for (const BenchmarkDefinition& benchmark : study_.benchmarks) {
          if (!benchmark.validation) settings["benchmarks"][benchmark.name] = benchmark_settings(benchmark, cell);
        }
        for (const LossDefinition& loss : study_.losses) settings["losses"][loss.name] = loss_settings(loss, cell);
        const std::string words = cat(words_of(cell), "-", name(where), "-", metric, spaced ? "-spaced" : "");
        add(std::move(cell), words, std::move(settings));
      }
    }
  }
}

std::size_t CellPlanner::cut(std::size_t tune, std::int64_t removed, Removal::Where where) {
  Cell cell = after(tune, CellKind::kCut);
  cell.treatment = Treatment::kPruned;
  cell.removed = removed;
  json settings = origin_settings(cell);
  settings["removed"] = removed;
  if (removed > 0) {
    cell.where = where;
    cell.metric = study_.heal->metric;
    cell.spaced = study_.heal->spaced;
    cell.scores = score(after(tune, CellKind::kScore), study_.heal->samples, true);
    settings["scores"] = id_of(*cell.scores);
    settings["removal"] = {name(where), cell.metric, cell.spaced};
  }
  const std::string words = words_of(cell);
  return add(std::move(cell), words, std::move(settings));
}

std::size_t CellPlanner::heal(std::size_t cut, const std::string& trained, std::optional<std::size_t> beside_of) {
  Cell cell = after(cut, CellKind::kHeal);
  cell.treatment = Treatment::kHealed;
  cell.trained = trained;
  cell.beside_of = beside_of;
  const DataDefinition& data = study_.data[cell.data];
  json settings = origin_settings(cell);
  settings["data"] = {path_setting(data.train, cell), path_setting(data.images, cell)};
  settings["recipe"] = settings_json(study_.heal->recipe);
  settings["trained"] = trained;
  settings["seed"] = cell.tuning->seed;
  settings["data_fraction"] = cell.tuning->data_fraction;
  if (beside_of) settings["beside"] = id_of(*beside_of);
  const std::string words = words_of(cell);
  return add(std::move(cell), words, std::move(settings));
}

// Whether the pruning stage measures what a cut is, before it is healed.
bool CellPlanner::prunes(const Cell& cut) const {
  if (!study_.prune || !is_selected(study_.prune->of, cut) || cut.removed > study_.prune->most) return false;
  const PruneStage& stage = *study_.prune;
  const bool where = cut.tuning->strategy == "all" || has_or_is_open(stage.where, cut.where);
  return where && has_or_is_open(stage.metrics, cut.metric) && has_or_is_open(stage.spaced, cut.spaced);
}

void CellPlanner::plan_healed(std::size_t cut, std::size_t whole, const std::string& trained) {
  const bool beside = trained == "beside-cuts";
  const std::optional<std::size_t> neighbours = beside ? std::optional(cut) : std::nullopt;
  measure_result(heal(cut, trained, neighbours), false);
  measure_result(heal(whole, trained, neighbours), false);
}

void CellPlanner::plan_healings(std::size_t tune) {
  const HealStage& stage = *study_.heal;
  const bool all = cells_[tune].tuning->strategy == "all";
  const std::size_t whole = cut(tune, 0, stage.where);
  for (const std::int64_t removed : stage.remove) {
    const std::size_t made = cut(tune, removed, all ? Removal::Where::kAnywhere : stage.where);
    if (!prunes(cells_[made])) measure_result(made, false);
    for (const std::string& trained : stage.trained) plan_healed(made, whole, trained);
  }
}

}  // namespace striate::study
