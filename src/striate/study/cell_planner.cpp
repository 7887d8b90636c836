#include "striate/study/cell_planner.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/region/layer_grammar.h"
#include "striate/study/cell_settings.h"
#include "striate/train/recipe.h"

namespace striate::study {
namespace {

using nlohmann::json;

constexpr std::size_t kHashDigits = 10;

const std::vector<std::string> kMetrics = {"bi",      "bi_text",         "bi_image",    "bi_multimodal",
                                           "angular", "image_attention", "param_change"};

template <typename Item>
bool allows(const std::vector<Item>& list, const Item& item) {
  return list.empty() || std::find(list.begin(), list.end(), item) != list.end();
}

// Rules that say themselves how many layers they name.
bool has_size(const std::string& strategy) {
  const bool list = strategy.find_first_not_of("0123456789,- ") == std::string::npos;
  return !list && strategy != "all" && strategy != "paper" && strategy != "authors-script";
}

std::optional<std::string> metric_of(const std::string& strategy) {
  for (const char* rule : {"score:", "stratified:"}) {
    if (strategy.starts_with(rule)) return strategy.substr(std::string_view(rule).size());
  }
  return std::nullopt;
}

}  // namespace

CellPlanner::CellPlanner(const StudyDefinition& study, std::vector<std::int64_t> layers)
    : study_(study), layers_(std::move(layers)) {}

std::vector<Cell> CellPlanner::plan() {
  for (std::size_t model = 0; model < study_.models.size(); ++model) plan_base(model);
  std::vector<std::uint64_t> seeds;
  for (const Grid& grid : study_.grids) {
    for (const std::uint64_t seed : grid.seeds) {
      if (std::find(seeds.begin(), seeds.end(), seed) == seeds.end()) seeds.push_back(seed);
    }
  }
  // A seed is whole before the next begins: a study that is looked at early has few seeds of everything.
  for (const std::uint64_t seed : seeds) {
    for (const Grid& grid : study_.grids) {
      if (!allows(grid.seeds, seed)) continue;
      for (std::size_t model = 0; model < study_.models.size(); ++model) {
        for (std::size_t data = 0; data < study_.data.size(); ++data) {
          const bool meant =
              allows(grid.models, study_.models[model].name) && allows(grid.data, study_.data[data].name);
          if (meant) plan_grid(grid, seed, model, data);
        }
      }
    }
  }
  for (const std::size_t tune : tunes_) {
    if (study_.score && study_.score->tuned && is_selected(study_.score->of, cells_[tune])) {
      score(after(tune, CellKind::kScore), study_.score->samples, true);
    }
    if (study_.revert && is_selected(study_.revert->of, cells_[tune])) plan_reversions(tune);
    if (study_.prune && is_selected(study_.prune->of, cells_[tune])) plan_prunings(tune);
    if (study_.heal && is_selected(study_.heal->of, cells_[tune])) plan_healings(tune);
  }
  return std::move(cells_);
}

std::size_t CellPlanner::add(Cell cell, const std::string& words, json settings) {
  settings["kind"] = name(cell.kind);
  settings["precision"] = study_.precision;
  const std::string hash = sha256_of(settings.dump()).substr(0, kHashDigits);
  cell.id = cat(name(cell.kind), "-", name_part(words), "-", hash);
  if (const auto found = known_.find(cell.id); found != known_.end()) return found->second;
  cell.settings = std::move(settings);
  for (const auto& need : {cell.subject, cell.align, cell.scores, cell.choice, cell.beside_of}) {
    if (need) cell.needs.push_back(*need);
  }
  cell.needs.insert(cell.needs.end(), cell.judged.begin(), cell.judged.end());
  std::sort(cell.needs.begin(), cell.needs.end());
  cell.needs.erase(std::unique(cell.needs.begin(), cell.needs.end()), cell.needs.end());
  for (const std::size_t need : cell.needs) cell.level = std::max(cell.level, cells_[need].level + 1);
  known_.emplace(cell.id, cells_.size());
  cells_.push_back(std::move(cell));
  return cells_.size() - 1;
}

void CellPlanner::plan_base(std::size_t model) {
  Cell base;
  base.model = model;
  base.reported = true;
  const ModelDefinition& asked = study_.models[model];
  // Without a trained projector a model sees nothing.
  const bool sees = !study_.align && (!asked.path.empty() || !asked.projector.empty());
  measure(base, false, sees);
}

void CellPlanner::plan_grid(const Grid& grid, std::uint64_t seed, std::size_t model, std::size_t data) {
  for (const std::string& strategy : grid.strategies) {
    for (const std::string& modules : grid.modules) {
      const std::vector<std::string> none = {""};
      for (const std::string& size : has_size(strategy) ? grid.sizes : none) {
        Cell rule;
        rule.kind = CellKind::kTune;
        rule.treatment = Treatment::kTuned;
        rule.model = model;
        rule.data = data;
        rule.size = size;
        rule.tuning.emplace();
        rule.tuning->strategy = strategy;
        rule.tuning->modules = modules;
        rule.tuning->seed = seed;
        if (size == "all") {
          rule.size.clear();
          rule.tuning->strategy = "all";
        }
        plan_rule(grid, rule);
      }
    }
  }
}

void CellPlanner::plan_rule(const Grid& grid, const Cell& rule) {
  const bool spread = rule.tuning->strategy == "uniform", drawn = rule.tuning->strategy == "random";
  for (const std::int64_t offset : spread ? grid.offsets : std::vector<std::int64_t>{0}) {
    for (std::int64_t draw = drawn ? 1 : 0; draw <= (drawn ? grid.draws : 0); ++draw) {
      for (const double fraction : grid.fractions) {
        Cell tuning = rule;
        tuning.tuning->offset = offset;
        tuning.tuning->draw = draw;
        tuning.tuning->data_fraction = fraction;
        check_layers(grid, tuning);
        plan_tuning(grid, tuning);
      }
    }
  }
}

void CellPlanner::plan_tuning(const Grid& grid, Cell tuning) {
  std::vector<double> rates = grid.rates;
  if (rates.empty() && !study_.choice) {
    const TuneKind kind = study_.full ? TuneKind::kFull : TuneKind::kLora;
    const GroupRates usual = recipe_rates(Stage::kTune, kind);
    rates = {study_.tune.learning_rate.value_or(study_.full ? usual.decoder : usual.adapter)};
  }
  std::vector<Cell> variants;
  for (const double rate : rates) {
    variants.push_back(tuning);
    variants.back().tuning->learning_rate = rate;
  }
  if (rates.empty()) {
    tuning.choice = choose(tuning);
    variants.push_back(tuning);
  }
  for (Cell& variant : variants) {
    const std::size_t made = tune(std::move(variant));
    if (!cells_[made].reported) report(made);
  }
}

void CellPlanner::report(std::size_t tune) {
  cells_[tune].reported = true;
  tunes_.push_back(tune);
  const std::optional<std::size_t> projector = cells_[tune].align;
  if (projector && !cells_[*projector].reported) {
    cells_[*projector].reported = true;
    measure_result(*projector, false);
  }
  measure_result(tune, false);
}

void CellPlanner::check_layers(const Grid& grid, Cell& rule) const {
  Tuning& tuning = *rule.tuning;
  const std::int64_t depth = layers_[rule.model];
  try {
    const std::optional<std::string> metric = metric_of(tuning.strategy);
    if (metric && std::find(kMetrics.begin(), kMetrics.end(), *metric) == kMetrics.end()) {
      const std::string nearest = nearest_name(*metric, kMetrics);
      throw invalid_input(
          cat("\"", tuning.strategy, "\": there is no score \"", *metric, "\""),
          nearest.empty() ? cat("known: ", join(kMetrics, ", ")) : cat("did you mean \"", nearest, "\"?"));
    }
    const std::string spec = metric ? cat("uniform:", rule.size) : layer_text(tuning, rule.size);
    const std::int64_t count = parse_layer_set(spec, depth).count();
    if (!rule.size.empty()) rule.size = std::to_string(count);
    if (count < depth) return;
  } catch (const Error& error) {
    throw invalid_input(
        cat(study_.file.string(), ":", grid.line, ": model ", study_.models[rule.model].name, ": ", error.what()),
        error.hint());
  }
  tuning.strategy = "all";
  tuning.offset = tuning.draw = 0;
  rule.size.clear();
}

std::size_t CellPlanner::tune(Cell cell) {
  const DataDefinition& data = study_.data[cell.data];
  cell.align = align(cell.model, cell.data, cell.tuning->seed);
  cell.scores = scores_for(cell);
  json settings = origin_settings(cell);
  settings["data"] = {path_setting(data.train, cell), path_setting(data.images, cell)};
  settings["tuning"] = settings_json(*cell.tuning, cell.size);
  settings["full"] = study_.full;
  Recipe recipe = study_.tune;
  recipe.learning_rate.reset();  // this tuning's is known, or is yet to be chosen
  settings["recipe"] = settings_json(recipe);
  if (cell.scores) settings["scores"] = id_of(*cell.scores);
  if (cell.choice) {
    settings["choice"] = id_of(*cell.choice);
  } else {
    settings["learning_rate"] = cell.tuning->learning_rate;
  }
  const std::string words = words_of(cell);
  return add(std::move(cell), words, std::move(settings));
}

std::optional<std::size_t> CellPlanner::align(std::size_t model, std::size_t data, std::uint64_t seed) {
  if (!study_.align) return std::nullopt;
  Cell cell;
  cell.kind = CellKind::kAlign;
  cell.treatment = Treatment::kAligned;
  cell.model = model;
  cell.data = data;
  cell.seed = study_.align_seed.value_or(seed);
  json settings = origin_settings(cell);
  const DataDefinition& asked = study_.data[data];
  settings["data"] = {path_setting(asked.align, cell), path_setting(asked.align_images, cell)};
  settings["recipe"] = settings_json(*study_.align);
  settings["seed"] = cell.seed;
  const std::string words = cat(words_of(cell), "-s", cell.seed);
  return add(std::move(cell), words, std::move(settings));
}

std::size_t CellPlanner::choose(const Cell& tuning) {
  const RateChoice& choice = *study_.choice;
  Cell cell = tuning;
  cell.kind = CellKind::kChoose;
  cell.tuning->seed = choice.seed;
  cell.tuning->offset = 0;
  cell.tuning->draw = tuning.tuning->strategy == "random" ? 1 : 0;
  cell.tuning->data_fraction = 1;
  const Cell rule = cell;  // the candidates know nothing of each other
  json candidates = json::array();
  for (const double rate : choice.rates) {
    Cell candidate = rule;
    candidate.kind = CellKind::kTune;
    candidate.tuning->learning_rate = rate;
    cell.candidates.push_back(tune(std::move(candidate)));
    const std::vector<std::size_t> judged = measure_result(cell.candidates.back(), true);
    cell.judged.insert(cell.judged.end(), judged.begin(), judged.end());
    candidates.push_back(id_of(cell.candidates.back()));
  }
  json judges = json::array();
  for (const std::size_t judge : cell.judged) judges.push_back(id_of(judge));
  const std::string words = words_of(cell);
  return add(std::move(cell), words, {{"candidates", candidates}, {"judged", judges}, {"by_loss", choice.by_loss}});
}

std::vector<std::size_t> CellPlanner::measure_result(std::size_t cell, bool validation) {
  Cell of = after(cell, CellKind::kAsk);
  // The projector is the model's own from here on.
  if (cells_[cell].kind == CellKind::kAlign) {
    of.align = cell;
    of.subject.reset();
  }
  of.treatment = cells_[cell].treatment;
  return measure(of, validation, true);
}

std::vector<std::size_t> CellPlanner::measure(const Cell& of, bool validation, bool sees) {
  std::vector<std::size_t> made;
  const bool by_loss = validation && study_.choice && study_.choice->by_loss;
  for (std::size_t i = 0; i < study_.benchmarks.size() && !by_loss; ++i) {
    const BenchmarkDefinition& benchmark = study_.benchmarks[i];
    if (benchmark.validation != validation || (benchmark.sense == Sense::kVisual && !sees)) continue;
    if (validation && benchmark.sense == Sense::kText) continue;
    Cell cell = of;
    cell.kind = CellKind::kAsk;
    cell.measure = i;
    json settings = origin_settings(cell);
    settings["benchmark"] = benchmark_settings(benchmark, cell);
    made.push_back(add(cell, cat(benchmark.name, "-", words_of(cell)), std::move(settings)));
  }
  for (std::size_t i = 0; i < study_.losses.size() && (!validation || by_loss); ++i) {
    const LossDefinition& loss = study_.losses[i];
    if (loss.sense == Sense::kVisual ? !sees : validation) continue;
    Cell cell = of;
    cell.kind = CellKind::kLoss;
    cell.measure = i;
    json settings = origin_settings(cell);
    settings["loss"] = loss_settings(loss, cell);
    made.push_back(add(cell, cat(loss.name, "-", words_of(cell)), std::move(settings)));
  }
  return made;
}

std::size_t CellPlanner::world(std::size_t data) {
  Cell cell;
  cell.kind = CellKind::kWorld;
  cell.data = data;
  return add(cell, study_.data[data].name, {{"world", settings_json(*study_.data[data].world)}});
}

std::string CellPlanner::path_setting(const std::string& path, Cell& cell) {
  const std::size_t end = path.find('}');
  if (!path.starts_with('{') || end == std::string::npos) return path;
  const std::string name = path.substr(1, end - 1);
  for (std::size_t data = 0; data < study_.data.size(); ++data) {
    if (study_.data[data].name != name || !study_.data[data].world) continue;
    const std::size_t made = world(data);
    cell.needs.push_back(made);
    return cat("{", id_of(made), path.substr(end));
  }
  throw invalid_input(cat(study_.file.string(), ": ", path, ": no data \"", name, "\" with a mini world is defined"),
                      "name a [[data]] that has [data.mini], or write the path without braces");
}

json CellPlanner::benchmark_settings(const BenchmarkDefinition& benchmark, Cell& cell) {
  return {{"benchmark", benchmark.benchmark},
          {"protocol", benchmark.protocol},
          {"data", path_setting(benchmark.data, cell)},
          {"images", path_setting(benchmark.images, cell)},
          {"limit", benchmark.limit}};
}

json CellPlanner::loss_settings(const LossDefinition& loss, Cell& cell) {
  return {
      {"data", path_setting(loss.data, cell)}, {"images", path_setting(loss.images, cell)}, {"samples", loss.samples}};
}

json CellPlanner::model_settings(std::size_t model) const {
  const ModelDefinition& asked = study_.models[model];
  return {{"path", asked.path},
          {"llm", asked.llm},
          {"vision_tower", asked.vision_tower},
          {"projector", asked.projector},
          {"template", asked.conversation}};
}

json CellPlanner::origin_settings(const Cell& cell) const {
  json settings = {{"model", model_settings(cell.model)}};
  if (cell.align) settings["align"] = id_of(*cell.align);
  if (cell.subject) settings["subject"] = id_of(*cell.subject);
  return settings;
}

Cell CellPlanner::after(std::size_t subject, CellKind kind) const {
  Cell cell = cells_[subject];
  cell.id.clear();
  cell.needs.clear();
  cell.level = 0;
  cell.kind = kind;
  cell.subject = subject;
  cell.scores.reset();
  cell.choice.reset();
  cell.beside_of.reset();
  cell.candidates.clear();
  cell.judged.clear();
  return cell;
}

std::string CellPlanner::words_of(const Cell& cell) const {
  std::string words = study_.models[cell.model].name;
  if (cell.data > 0)
    words += cat("-", study_.data[cell.data].name);  // the first one's names stay when others are added
  if (!cell.tuning) return cell.treatment == Treatment::kBase ? words + "-base" : words;
  const Tuning& tuning = *cell.tuning;
  words += cat("-", tuning.strategy);
  if (!cell.size.empty()) words += cat("-", cell.size);
  if (tuning.offset > 0) words += cat("-o", tuning.offset);
  if (tuning.draw > 1) words += cat("-d", tuning.draw);
  if (tuning.modules != "all") words += cat("-", tuning.modules);
  if (tuning.data_fraction < 1) words += cat("-", 100 * tuning.data_fraction, "%");
  words += cat("-s", tuning.seed);
  if (!cell.layers.empty()) words += cat("-back-", cell.layers);
  if (cell.treatment == Treatment::kPruned || cell.treatment == Treatment::kHealed) {
    words += cell.removed == 0 ? std::string("-whole") : cat("-less-", cell.removed);
  }
  if (!cell.trained.empty()) words += cat("-", cell.trained);
  return words;
}

}  // namespace striate::study
