#include "striate/study/results_file.h"

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"

namespace striate::study {
namespace {

using ResultsJson = nlohmann::json;

constexpr const char* kResultsFormat = "striate-study-results";
constexpr std::int64_t kResultsVersion = 2;
constexpr std::int64_t kMostCounted = std::int64_t{1} << 53;  // which other languages' numbers hold, too
// Hundreds of models, each with the answers to ten thousand questions.
constexpr JsonLimits kResultsJson{.bytes = std::uint64_t{1} << 30, .depth = 16, .values = 32'000'000};

constexpr std::array kSenses = {Sense::kVisual, Sense::kText};
constexpr std::array kWheres = {Removal::Where::kOutside, Removal::Where::kInside, Removal::Where::kAnywhere};
constexpr std::array kTreatments = {Treatment::kBase,     Treatment::kAligned, Treatment::kTuned,
                                    Treatment::kReverted, Treatment::kPruned,  Treatment::kHealed};

// One value of the document, and where it stands.
class ResultsValue {
 public:
  ResultsValue(const ResultsJson& value, std::string where) : value_(value), where_(std::move(where)) {}

  Error fault(const std::string& what) const {
    return corrupt_data(cat(where_, ": ", what), "collect the results again with 'striate study status'");
  }
  bool has(const char* key) const { return value_.is_object() && value_.contains(key) && !value_.at(key).is_null(); }
  ResultsValue operator[](const char* key) const {
    if (!value_.is_object()) throw fault("is not an object");
    const auto found = value_.find(key);
    if (found == value_.end()) throw fault(cat("has no \"", key, "\""));
    return {*found, cat(where_, ", ", key)};
  }
  std::string text() const {
    if (!value_.is_string()) throw fault("is not a text");
    return value_.get<std::string>();
  }
  bool truth() const {
    if (!value_.is_boolean()) throw fault("is neither true nor false");
    return value_.get<bool>();
  }
  double number() const {
    if (!value_.is_number()) throw fault("is not a number");
    return value_.get<double>();
  }
  double number_or_none() const { return value_.is_null() ? std::numeric_limits<double>::quiet_NaN() : number(); }
  std::int64_t count() const {
    if (!value_.is_number_unsigned() || value_.get<std::uint64_t>() > static_cast<std::uint64_t>(kMostCounted))
      throw fault(cat("is not a whole number from 0 to ", kMostCounted));
    return value_.get<std::int64_t>();
  }
  std::uint64_t bits() const {
    if (!value_.is_number_unsigned()) throw fault("is not a whole number from 0");
    return value_.get<std::uint64_t>();
  }
  template <typename Named, std::size_t kCount>
  Named named(const std::array<Named, kCount>& values) const {
    const std::string word = text();
    for (const Named one : values) {
      if (name(one) == word) return one;
    }
    throw fault(cat("\"", word, "\" is not known"));
  }
  // What `read` makes of every item of a list.
  template <typename Read>
  auto list(const Read& read) const {
    if (!value_.is_array()) throw fault("is not a list");
    std::vector<decltype(read(*this))> out;
    out.reserve(value_.size());
    for (const ResultsJson& item : value_) out.push_back(read(ResultsValue(item, cat(where_, ' ', out.size() + 1))));
    return out;
  }
  // What `read` makes of every value of an object, by key.
  template <typename Read>
  auto map(const Read& read) const {
    if (!value_.is_object()) throw fault("is not an object");
    std::map<std::string, decltype(read(*this))> out;
    for (const auto& [key, item] : value_.items()) out.emplace(key, read(ResultsValue(item, cat(where_, ", ", key))));
    return out;
  }
  std::vector<std::int64_t> counts() const {
    return list([](const ResultsValue& item) { return item.count(); });
  }
  std::vector<double> numbers() const {
    return list([](const ResultsValue& item) { return item.number_or_none(); });
  }

 private:
  const ResultsJson& value_;
  std::string where_;
};

ResultsJson or_null(double value) {
  return std::isfinite(value) ? ResultsJson(value) : ResultsJson(nullptr);
}

ResultsJson json_of(const StudiedBenchmark& benchmark) {
  ResultsJson questions = ResultsJson::array();
  for (const AskedQuestion& q : benchmark.questions) {
    questions.push_back({{"id", q.id},
                         {"kind", q.kind},
                         {"text", q.text},
                         {"reference", q.reference},
                         {"picture", q.picture},
                         {"together", q.together}});
  }
  return {{"name", benchmark.name},
          {"protocol", benchmark.protocol},
          {"sense", name(benchmark.sense)},
          {"unit", benchmark.unit},
          {"questions", std::move(questions)}};
}

StudiedBenchmark benchmark_of(const ResultsValue& value) {
  return {value["name"].text(), value["protocol"].text(), value["sense"].named(kSenses), value["unit"].text(),
          value["questions"].list([](const ResultsValue& q) {
            return AskedQuestion{q["id"].text(),        q["kind"].text(),    q["text"].text(),
                                 q["reference"].text(), q["picture"].text(), q["together"].text()};
          })};
}

ResultsJson json_of(const Tuning& t) {
  return {{"strategy", t.strategy},
          {"layers_text", t.layers_text},
          {"layers", t.layers},
          {"modules", t.modules},
          {"offset", t.offset},
          {"draw", t.draw},
          {"data_fraction", t.data_fraction},
          {"learning_rate", t.learning_rate},
          {"seed", t.seed},
          {"trial", t.trial}};
}

Tuning tuning_of(const ResultsValue& value) {
  return {.strategy = value["strategy"].text(),
          .layers_text = value["layers_text"].text(),
          .layers = value["layers"].counts(),
          .modules = value["modules"].text(),
          .offset = value["offset"].count(),
          .draw = value["draw"].count(),
          .data_fraction = value["data_fraction"].number(),
          .learning_rate = value["learning_rate"].number(),
          .seed = value["seed"].bits(),
          .trial = value["trial"].truth()};
}

ResultsJson json_of(const RunTaken& t) {
  return {{"seconds", t.seconds},
          {"processor_seconds", t.processor_seconds},
          {"step_seconds", t.step_seconds},
          {"steps", t.steps},
          {"tokens", t.tokens},
          {"trained_parameters", t.trained_parameters},
          {"peak_memory", t.peak_memory}};
}

RunTaken taken_of(const ResultsValue& value) {
  return {.seconds = value["seconds"].number(),
          .processor_seconds = value["processor_seconds"].number(),
          .step_seconds = value["step_seconds"].number(),
          .steps = value["steps"].count(),
          .tokens = value["tokens"].count(),
          .trained_parameters = value["trained_parameters"].count(),
          .peak_memory = value["peak_memory"].bits()};
}

// Benchmarks, losses and layer scores.
void add_measured(ResultsJson& json, const StudiedModel& model) {
  ResultsJson benchmarks = ResultsJson::object(), losses = ResultsJson::object(), scores = ResultsJson::object();
  for (const auto& [name, a] : model.benchmarks)
    benchmarks[name] = {{"score", or_null(a.score)}, {"questions", a.questions}, {"answers", a.answers}};
  for (const auto& [data, l] : model.losses) losses[data] = {{"sense", name(l.sense)}, {"loss", l.loss}};
  for (const auto& [metric, values] : model.layer_scores) {
    ResultsJson& list = scores[metric] = ResultsJson::array();
    for (const double value : values) list.push_back(or_null(value));
  }
  json["benchmarks"] = std::move(benchmarks);
  json["losses"] = std::move(losses);
  json["layer_scores"] = std::move(scores);
  ResultsJson& curve = json["curve"] = ResultsJson::array();
  for (const LossPoint& point : model.curve) curve.push_back({point.step, or_null(point.loss)});
}

ResultsJson json_of(const StudiedModel& m) {
  ResultsJson json = {
      {"cell", m.cell},        {"part", m.part}, {"model", m.model}, {"data", m.data}, {"treatment", name(m.treatment)},
      {"reverted", m.reverted}};
  add_measured(json, m);
  if (m.tuning) json["tuning"] = json_of(*m.tuning);
  if (m.removal) {
    json["removal"] = {{"layers", m.removal->layers},
                       {"metric", m.removal->metric},
                       {"where", name(m.removal->where)},
                       {"spaced", m.removal->spaced}};
  }
  if (m.healing) json["healing"] = {{"trained", m.healing->trained}, {"unpruned", m.healing->unpruned}};
  if (m.taken) json["taken"] = json_of(*m.taken);
  if (m.answering) {
    json["answering"] = {{"prefill_tokens_per_second", m.answering->prefill_tokens_per_second},
                         {"decode_tokens_per_second", m.answering->decode_tokens_per_second},
                         {"weights", m.answering->weights}};
  }
  if (m.judged) json["judged"] = *m.judged;
  return json;
}

LossPoint loss_point_of(const ResultsValue& value) {
  const std::vector<double> pair = value.numbers();
  if (pair.size() != 2 || !(pair[0] >= 0 && pair[0] <= 1e15)) throw value.fault("is not a step and its loss");
  return {static_cast<std::int64_t>(pair[0]), pair[1]};
}

StudiedModel studied_model_of(const ResultsValue& value) {
  StudiedModel m{.cell = value["cell"].text(),
                 .part = value["part"].text(),
                 .model = value["model"].text(),
                 .data = value["data"].text(),
                 .treatment = value["treatment"].named(kTreatments)};
  if (value.has("tuning")) m.tuning = tuning_of(value["tuning"]);
  m.reverted = value["reverted"].counts();
  if (value.has("removal")) {
    const ResultsValue removal = value["removal"];
    m.removal = Removal{removal["layers"].counts(), removal["metric"].text(), removal["where"].named(kWheres),
                        removal["spaced"].truth()};
  }
  if (value.has("healing"))
    m.healing = Healing{value["healing"]["trained"].text(), value["healing"]["unpruned"].truth()};
  m.benchmarks = value["benchmarks"].map([](const ResultsValue& a) {
    return BenchmarkAnswers{a["score"].number_or_none(), a["questions"].numbers(),
                            a["answers"].list([](const ResultsValue& answer) { return answer.text(); })};
  });
  m.losses = value["losses"].map([](const ResultsValue& loss) {
    return HeldOutLoss{loss["sense"].named(kSenses), loss["loss"].number()};
  });
  m.layer_scores = value["layer_scores"].map([](const ResultsValue& scores) { return scores.numbers(); });
  m.curve = value["curve"].list(loss_point_of);
  if (value.has("taken")) m.taken = taken_of(value["taken"]);
  if (value.has("answering")) {
    const ResultsValue cost = value["answering"];
    m.answering = AnsweringCost{cost["prefill_tokens_per_second"].number(), cost["decode_tokens_per_second"].number(),
                                cost["weights"].bits()};
  }
  if (value.has("judged")) m.judged = value["judged"].number();
  return m;
}

}  // namespace

std::string results_text(const StudyResults& results) {
  ResultsJson json = {
      {"format", kResultsFormat},           {"version", kResultsVersion},     {"name", results.name},
      {"description", results.description}, {"reference", results.reference}, {"machine", results.machine},
      {"striate", results.version},         {"cells", results.cells},         {"finished", results.finished}};
  for (const char* list : {"lvlms", "benchmarks", "models", "failed", "notes", "warnings"})
    json[list] = ResultsJson::array();
  for (const StudiedLvlm& lvlm : results.lvlms)
    json["lvlms"].push_back({{"name", lvlm.name}, {"layers", lvlm.layers}, {"parameters", lvlm.parameters}});
  for (const StudiedBenchmark& benchmark : results.benchmarks) json["benchmarks"].push_back(json_of(benchmark));
  for (const StudiedModel& model : results.models) json["models"].push_back(json_of(model));
  for (const FailedCell& failed : results.failed)
    json["failed"].push_back({{"cell", failed.cell}, {"reason", failed.reason}});
  for (const auto& [fact, value] : results.notes) json["notes"].push_back({{"name", fact}, {"value", value}});
  for (const std::string& warning : results.warnings) json["warnings"].push_back(warning);
  return json_text(json) + "\n";
}

StudyResults parse_results(std::string_view text, const std::string& where) {
  const ResultsJson json = parse_json(text, where, kResultsJson);
  const ResultsValue value(json, where);
  if (!value.has("format") || value["format"].text() != kResultsFormat)
    throw value.fault("is not a file of a study's results");
  if (value["version"].count() != kResultsVersion)
    throw value.fault(cat("is of version ", value["version"].count(), ", not ", kResultsVersion));
  StudyResults results{.name = value["name"].text(),
                       .description = value["description"].text(),
                       .reference = value["reference"].text(),
                       .machine = value["machine"].text(),
                       .version = value["striate"].text(),
                       .lvlms = value["lvlms"].list([](const ResultsValue& lvlm) {
                         return StudiedLvlm{lvlm["name"].text(), lvlm["layers"].count(), lvlm["parameters"].count()};
                       }),
                       .benchmarks = value["benchmarks"].list(benchmark_of),
                       .models = value["models"].list(studied_model_of),
                       .failed = value["failed"].list([](const ResultsValue& failed) {
                         return FailedCell{failed["cell"].text(), failed["reason"].text()};
                       }),
                       .cells = value["cells"].count(),
                       .finished = value["finished"].count(),
                       .notes = value["notes"].list([](const ResultsValue& note) {
                         return std::pair(note["name"].text(), note["value"].text());
                       }),
                       .warnings = value["warnings"].list([](const ResultsValue& warning) { return warning.text(); })};
  if (const std::string fault = fault_of(results); !fault.empty()) throw value.fault(fault);
  return results;
}

void write_results(const StudyResults& results, const OutputPath& path) {
  write_file(path, results_text(results));
}

StudyResults read_results(const std::filesystem::path& path) {
  return parse_results(read_file(path, kResultsJson.bytes), path.string());
}

}  // namespace striate::study
