#include "striate/study/collect.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/eval/opened_benchmark.h"
#include "striate/model/open_configuration.h"
#include "striate/region/score_file.h"
#include "striate/study/asked_questions.h"
#include "striate/study/status.h"
#include "striate/train/metrics.h"
#include "striate/version.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kCurvePoints = 200;

struct RunFigures {
  std::vector<LossPoint> curve;
  RunTaken taken;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The mean loss of as many steps as make kCurvePoints points.
std::vector<LossPoint> thinned(const std::vector<LossPoint>& steps) {
  const std::size_t each = std::max<std::size_t>(1, (steps.size() + kCurvePoints - 1) / kCurvePoints);
  std::vector<LossPoint> points;
  for (std::size_t first = 0; first < steps.size(); first += each) {
    const std::size_t last = std::min(first + each, steps.size());
    double sum = 0;
    for (std::size_t i = first; i < last; ++i) sum += steps[i].loss;
    points.push_back({steps[last - 1].step, sum / static_cast<double>(last - first)});
  }
  return points;
}

// Of a training run, from its metrics.jsonl: times are those of its steps, whichever processes took them. Processor
// time is 0 where an earlier Striate wrote the steps without it.
RunFigures figures_of(const fs::path& run, bool without_waiting) {
  RunFigures figures;
  const fs::path file = run / kMetricsFile;
  if (!is_file(file)) return figures;
  std::vector<LossPoint> steps;
  std::vector<double> durations;
  bool processor_known = true;
  for (const std::string& line : split(read_file(file, std::uint64_t{1} << 34), '\n')) {
    const std::optional<json> read = try_parse_json(line);
    if (!read || !read->is_object() || !read->contains("tokens")) continue;
    const json loss = read->value("loss", json());
    const std::int64_t step = read->value("step", std::int64_t{0});
    if (loss.is_number()) steps.push_back({step, loss.get<double>()});
    durations.push_back(read->value("seconds", 0.0) - (without_waiting ? read->value("wait_seconds", 0.0) : 0));
    figures.taken.seconds += durations.back();
    const json busy = read->value("processor_seconds", json());
    processor_known = processor_known && busy.is_number();
    if (busy.is_number()) figures.taken.processor_seconds += busy.get<double>();
    figures.taken.tokens += read->value("tokens", std::int64_t{0});
    figures.taken.steps = step;
  }
  if (!processor_known) figures.taken.processor_seconds = 0;
  figures.taken.step_seconds = median(std::move(durations));
  figures.curve = thinned(steps);
  return figures;
}

std::vector<std::int64_t> layers_in(const json& record, const char* key) {
  return record.at(key).get<std::vector<std::int64_t>>();
}

// Of a pruned model, or of the whole one that pruning began with; nullopt where no cost was measured.
std::optional<AnsweringCost> cost_in(const fs::path& folder) {
  if (!is_file(folder / "cost.json")) return std::nullopt;
  const json kept = read_json_file(folder / "cost.json");
  return AnsweringCost{kept.at("prefill_tokens_per_second").get<double>(),
                       kept.at("decode_tokens_per_second").get<double>(), kept.at("weights").get<std::uint64_t>()};
}

std::int64_t parameters_of(const ModelPaths& paths) {
  const Checkpoint checkpoint = open_configuration(paths);
  std::int64_t sum = 0;
  for (const auto& [name, entry] : checkpoint.weights.entries()) {
    std::int64_t count = 1;
    for (const std::int64_t side : entry.info->shape) count *= side;
    sum += count;
  }
  return sum;
}

class Collector {
 public:
  explicit Collector(const Study& study) : study_(study), status_(status_of(study)) {}

  StudyResults collect() {
    const StudyDefinition& asked = study_.definition;
    results_.name = asked.name;
    results_.description = asked.description;
    results_.reference = asked.reference;
    results_.version = STRIATE_VERSION;
    results_.cells = static_cast<std::int64_t>(study_.cells.size());
    results_.finished = status_.done;
    for (std::size_t model = 0; model < asked.models.size(); ++model) {
      Cell base;
      base.model = model;
      results_.lvlms.push_back({asked.models[model].name, study_.layers[model], parameters_of(study_.origin(base))});
    }
    read_benchmarks();
    for (std::size_t cell = 0; cell < study_.cells.size(); ++cell) {
      if (status_.cells[cell].state == CellState::kDone) add(cell);
      if (status_.cells[cell].state == CellState::kFailed) {
        results_.failed.push_back({study_.cells[cell].id, status_.cells[cell].failure});
      }
    }
    warn_of_computes();
    for (StudiedModel& model : models_) results_.models.push_back(std::move(model));
    return std::move(results_);
  }

 private:
  void read_benchmarks();
  void add(std::size_t cell);
  void add_made(std::size_t cell);
  void add_parts(std::size_t cell);
  void add_scores(std::size_t cell);
  void add_judgements(std::size_t cell);
  // The record of a model, which is made where there is none: that of the cell that made it, of the base otherwise.
  StudiedModel& model_of(const Cell& measured);
  const Cell* maker_of(const Cell& cell) const;
  bool is_candidate(const Cell& made) const;
  StudiedModel described(const Cell& cell) const;
  void describe_tuning(const Cell& cell, StudiedModel& model) const;
  void note_machine(const fs::path& run);
  void warn_of_computes();
  BenchmarkAnswers answers_in(const AskedQuestions& questions, const fs::path& answers) const;

  std::string relative(const Cell& cell) const { return cat("cells/", cell.id); }
  const CellRecord& record(std::size_t cell) const { return *status_.cells[cell].record; }

  const Study& study_;
  StudyStatus status_;
  StudyResults results_;
  std::vector<StudiedModel> models_;
  std::map<std::string, std::size_t> places_;  // in models_, by what made it
  // By the benchmark's number in the definition; absent: its files are not there yet, or it is for validation.
  std::map<std::size_t, std::unique_ptr<const AskedQuestions>> questions_;
};

void Collector::read_benchmarks() {
  for (std::size_t i = 0; i < study_.definition.benchmarks.size(); ++i) {
    const BenchmarkDefinition& asked = study_.definition.benchmarks[i];
    const bool is_asked = std::ranges::any_of(study_.cells, [&](const Cell& cell) {
      return (cell.kind == CellKind::kAsk && cell.measure == i) || cell.kind == CellKind::kPrune;
    });
    const fs::path data = study_.path(asked.data);
    if (asked.validation || !is_asked || !path_exists(data)) continue;
    auto questions = std::make_unique<const AskedQuestions>(asked.benchmark, asked.protocol, data, asked.limit);
    const fs::path images = asked.images.empty() ? find_pictures(data, questions->set()) : study_.path(asked.images);
    StudiedBenchmark told{.name = asked.name,
                          .protocol = questions->protocol().name,
                          .sense = asked.sense,
                          .unit = questions->protocol().headline_unit};
    const std::vector<std::string>& kinds = questions->benchmark().kinds;
    for (const Question& question : questions->set().questions) {
      const auto kind = kinds.empty() ? question.kinds.end() : question.kinds.find(kinds.front());
      const std::vector<std::string> shown = shown_pictures(questions->protocol(), question);
      const bool file = !shown.empty() && !questions->set().pictures;
      told.questions.push_back({question.id, kind == question.kinds.end() ? std::string() : join(kind->second, ", "),
                                question.text, question.references.empty() ? "" : question.references.front(),
                                file ? full_path(images / shown.front()).string() : std::string(),
                                resampling_unit(question)});
    }
    results_.benchmarks.push_back(std::move(told));
    questions_.emplace(i, std::move(questions));
  }
}

// The cell that made the model that `cell` makes or measures; nullptr: the base.
const Cell* Collector::maker_of(const Cell& cell) const {
  if (cell.kind == CellKind::kAlign || cell.kind == CellKind::kTune || cell.kind == CellKind::kHeal) return &cell;
  return cell.subject ? &study_.cells[*cell.subject] : cell.align ? &study_.cells[*cell.align] : nullptr;
}

// Whether a learning rate is chosen by the tuning that `made` is or goes on from.
bool Collector::is_candidate(const Cell& made) const {
  const auto number = static_cast<std::size_t>(&made - study_.cells.data());
  return std::ranges::any_of(study_.cells, [&](const Cell& other) {
    return std::ranges::find(other.candidates, number) != other.candidates.end();
  });
}

void Collector::add(std::size_t index) {
  const Cell& cell = study_.cells[index];
  if (const Cell* made = maker_of(cell); made != nullptr && !made->reported && !is_candidate(*made)) return;
  if (record(index).result.contains(kDiverged) && cell.kind != CellKind::kTune) return;
  switch (cell.kind) {
    case CellKind::kAlign:
    case CellKind::kTune:
    case CellKind::kHeal:
      return add_made(index);
    case CellKind::kScore:
      return add_scores(index);
    case CellKind::kPrune:
      return add_parts(index);
    case CellKind::kAsk:
      if (const auto found = questions_.find(cell.measure.value()); found != questions_.end()) {
        const std::string& name = study_.definition.benchmarks[found->first].name;
        const fs::path answers = study_.folder.cell(cell);
        model_of(cell).benchmarks[name] = answers_in(*found->second, answers);
      }
      return;
    case CellKind::kLoss: {
      const LossDefinition& loss = study_.definition.losses[cell.measure.value()];
      const json value = record(index).result.value("loss", json());
      if (value.is_number()) model_of(cell).losses[loss.name] = {loss.sense, value.get<double>()};
      return;
    }
    case CellKind::kChoose:
      return add_judgements(index);
    default:
      return;
  }
}

void Collector::add_judgements(std::size_t index) {
  const Cell& cell = study_.cells[index];
  const json tried = record(index).result.at("tried");
  for (std::size_t i = 0; i < cell.candidates.size(); ++i) {
    const json value = tried.at(i).value(study_.definition.choice->by_loss ? "loss" : "score", json());
    if (value.is_number()) model_of(study_.cells[cell.candidates[i]]).judged = value.get<double>();
  }
}

BenchmarkAnswers Collector::answers_in(const AskedQuestions& questions, const fs::path& path) const {
  const AnswerFile file = read_answers(path, questions.benchmark().name);
  const ProtocolScore score = questions.score(file);
  BenchmarkAnswers out;
  out.score = score.headline.value;
  out.questions.resize(questions.set().questions.size());
  out.answers.resize(out.questions.size());
  for (const Scored& item : score.items) {
    const auto place = static_cast<std::size_t>(item.question - questions.set().questions.data());
    out.questions[place] = item.judgement.score;
    if (item.answer != nullptr) out.answers[place] = item.answer->text;
  }
  return out;
}

StudiedModel& Collector::model_of(const Cell& measured) {
  const Cell* maker = maker_of(measured);
  const std::string key = maker != nullptr ? maker->id : cat("base ", measured.model);
  const auto [place, is_new] = places_.emplace(key, models_.size());
  if (is_new) {
    models_.push_back(described(maker != nullptr ? *maker : measured));
    models_.back().cell = relative(maker != nullptr ? *maker : measured);
  }
  return models_[place->second];
}

StudiedModel Collector::described(const Cell& cell) const {
  StudiedModel model;
  model.cell = relative(cell);
  model.model = study_.definition.models[cell.model].name;
  model.data = cell.treatment == Treatment::kBase ? std::string() : study_.definition.data[cell.data].name;
  model.treatment = cell.treatment;
  if (cell.tuning) describe_tuning(cell, model);
  const auto number = static_cast<std::size_t>(&cell - study_.cells.data());
  if (cell.kind == CellKind::kRevert) model.reverted = layers_in(record(number).result, "layers");
  if (cell.kind == CellKind::kHeal) {
    const bool many = study_.definition.heal && study_.definition.heal->remove.size() > 1;
    const std::string of = many && cell.beside_of ? cat(" of ", study_.cells[*cell.beside_of].removed) : std::string();
    model.healing = Healing{cell.trained + of, cell.removed == 0};
  }
  const Cell* cut = cell.kind == CellKind::kHeal ? &study_.cells[cell.subject.value()] : &cell;
  if (cut->kind == CellKind::kCut && cut->removed > 0) {
    const std::optional<CellRecord> removed = study_.folder.record(*cut);
    model.removal = Removal{layers_in(removed->result, "removed"), cut->metric, cut->where, cut->spaced};
  }
  return model;
}

void Collector::describe_tuning(const Cell& cell, StudiedModel& model) const {
  const Cell* tune = &cell;
  while (tune->kind != CellKind::kTune) tune = &study_.cells[tune->subject.value()];
  model.tuning = tune->tuning;
  Tuning& tuning = *model.tuning;
  tuning.layers_text = layer_text(tuning, tune->size);
  const std::optional<CellRecord> record = study_.folder.record(*tune);
  if (record && !record->result.contains(kDiverged)) {
    tuning.layers = layers_in(record->result, "layers");
    tuning.learning_rate = record->result.at("learning_rate").get<double>();
  }
  tuning.trial = !tune->reported;
}

void Collector::note_machine(const fs::path& run) {
  if (!results_.machine.empty() || !is_file(run / "run.json")) return;
  const json hardware = read_json_file(run / "run.json", kHistoryJson).value("hardware", json::object());
  const auto text = [&](const char* key) {
    const json value = hardware.value(key, json());
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  results_.machine = cat(text("cpu"), ", ", text("device"), ", ", text("compute"), ", ", text("threads"),
                         text("threads") == "1" ? " thread" : " threads", " a cell");
}

void Collector::warn_of_computes() {
  std::map<std::string, std::int64_t> cells;
  for (std::size_t cell = 0; cell < study_.cells.size(); ++cell) {
    if (status_.cells[cell].state == CellState::kDone && !record(cell).computed.empty()) ++cells[record(cell).computed];
  }
  if (cells.size() < 2) return;
  std::vector<std::string> parts;
  for (const auto& [computed, count] : cells) parts.push_back(cat(count, " in ", computed));
  results_.warnings.push_back(cat("Not all cells were computed alike (", join(parts, ", "),
                                  "): differences between models are not of the strategies alone."));
}

void Collector::add_made(std::size_t index) {
  const Cell& cell = study_.cells[index];
  StudiedModel& model = model_of(cell);
  const fs::path run = study_.folder.cell(cell);
  note_machine(run);
  RunFigures figures = figures_of(run, study_.definition.cache_features);
  model.curve = std::move(figures.curve);
  model.taken = figures.taken;
  const bool one_process = !record(index).resumed;
  if (model.taken->processor_seconds == 0 && one_process)
    model.taken->processor_seconds = record(index).processor_seconds;
  model.taken->peak_memory = record(index).peak_memory;
  model.taken->trained_parameters = record(index).result.value("trained_parameters", std::int64_t{0});
}

void Collector::add_scores(std::size_t index) {
  const Cell& cell = study_.cells[index];
  const ScoreFile scores = read_score_file(study_.folder.cell(cell) / "scores.json");
  StudiedModel& model = model_of(cell);
  for (const std::string& metric : scores.metric_names()) model.layer_scores[metric] = scores.metric(metric).mean;
}

void Collector::add_parts(std::size_t index) {
  const Cell& cell = study_.cells[index];
  model_of(cell).answering = cost_in(study_.folder.cell(cell));
  for (std::int64_t removed = 1; removed <= record(index).result.at("parts").get<std::int64_t>(); ++removed) {
    StudiedModel model = described(cell);
    model.part = cat("removed-", removed < 10 ? "0" : "", removed);
    const fs::path folder = study_.folder.cell(cell) / model.part;
    const json part = read_json_file(folder / "part.json");
    model.removal = Removal{layers_in(part, "layers"), cell.metric, cell.where, cell.spaced};
    model.answering = cost_in(folder);
    for (const LossDefinition& loss : study_.definition.losses) {
      if (!part.at("losses").contains(loss.name)) continue;
      const json value = part.at("losses").at(loss.name).value("loss", json());
      if (value.is_number()) model.losses[loss.name] = {loss.sense, value.get<double>()};
    }
    for (const auto& [number, questions] : questions_) {
      const std::string& name = study_.definition.benchmarks[number].name;
      const fs::path answers = folder / name / "answers.jsonl";
      if (is_file(answers)) model.benchmarks[name] = answers_in(*questions, answers);
    }
    models_.push_back(std::move(model));
  }
}

}  // namespace

StudyResults collect_results(const Study& study) {
  return Collector(study).collect();
}

StudyResults collect_results(const fs::path& folder) {
  return collect_results(open_study(folder));
}

}  // namespace striate::study
