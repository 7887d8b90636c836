#include "striate/train/metrics.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

// Keys in the order a reader looks for them.
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 34;

// JSON has no infinities: a step that was skipped for one says so in words.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

double rate(std::int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
}

// The step that a line is about; nullopt for one that was cut short by a crash.
std::optional<std::int64_t> step_of_line(const std::optional<nlohmann::json>& line) {
  if (!line || !line->is_object() || !line->contains("step") || !line->at("step").is_number_integer()) {
    return std::nullopt;
  }
  return line->at("step").get<std::int64_t>();
}

bool is_of_evaluation(const nlohmann::json& line) {
  return line.contains("eval_loss") || line.contains("eval_benchmark");
}

// The lines about steps up to `last`, without an evaluation of it where the run owes one; a line that was cut short is
// the end.
std::string lines_until(const std::string& text, std::int64_t last, bool owes_evaluation) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const auto line = try_parse_json(std::string_view(text).substr(begin, end - begin));
    const auto step = step_of_line(line);
    if (!step || *step > last) break;
    if (owes_evaluation && *step == last && is_of_evaluation(*line)) break;
    begin = end + 1;
  }
  return text.substr(0, begin);
}

// The file as lines_until() leaves it.
OutputPath cut_to(OutputPath path, std::int64_t resume_step, bool owes_evaluation) {
  if (path_exists(path.path())) {
    const std::string text = read_file(path.path(), kMostBytes);
    const std::string kept = lines_until(text, resume_step, owes_evaluation);
    if (kept.size() != text.size()) write_file(path, kept);
  }
  return path;
}

// Fields of a line; where one is missing or of another type: no text, 0, and no number.
std::string text_in(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t count_in(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

// What number() made of it.
double number_in(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  if (found != line.end() && found->is_number()) return found->get<double>();
  const std::string word = text_in(line, key);
  if (word == "inf") return std::numeric_limits<double>::infinity();
  if (word == "-inf") return -std::numeric_limits<double>::infinity();
  return std::numeric_limits<double>::quiet_NaN();
}

// The fields of an evaluation's line in their order, of a benchmark and of samples. A line is written and read back by
// these lists, so that what is written is what is read.
template <typename Score, typename Field>
void each_score_field(Score& score, const Field& field) {
  field("eval_benchmark", score.benchmark);
  field("eval_protocol", score.protocol);
  field("eval_metric", score.headline.name);
  field("eval_score", score.headline.value);
  field("eval_score_low", score.interval.low);
  field("eval_score_high", score.interval.high);
  field("eval_questions", score.questions);
  field("eval_answered", score.answered);
  field("eval_empty", score.empty);
  field("eval_unparsed", score.unparsed);
  field("eval_cut", score.cut);
  field("eval_bad", score.bad);
}

template <typename Evaluation, typename Field>
void each_loss_field(Evaluation& m, const Field& field) {
  field("eval_loss", m.loss);
  field("eval_targets", m.targets);
  field("eval_questions", m.questions);
  field("eval_exact", m.exact);
}

struct FieldWriter {
  Json& line;
  void operator()(const char* key, const std::string& text) const { line[key] = text; }
  void operator()(const char* key, double value) const { line[key] = number(value); }
  void operator()(const char* key, std::int64_t count) const { line[key] = count; }
};

struct FieldReader {
  const nlohmann::json& line;
  void operator()(const char* key, std::string& text) const { text = text_in(line, key); }
  void operator()(const char* key, double& value) const { value = number_in(line, key); }
  void operator()(const char* key, std::int64_t& count) const { count = count_in(line, key); }
};

EvaluationMetrics evaluation_in(const nlohmann::json& line) {
  EvaluationMetrics m;
  m.step = count_in(line, "step");
  m.seconds = number_in(line, "seconds");
  if (!line.contains("eval_benchmark")) {
    each_loss_field(m, FieldReader{line});
    return m;
  }
  m.loss = std::numeric_limits<double>::quiet_NaN();
  each_score_field(m.benchmark.emplace(), FieldReader{line});
  m.questions = m.benchmark->answered;
  return m;
}

}  // namespace

std::string to_json_line(const StepMetrics& m) {
  Json line;
  line["step"] = m.step;
  line["epoch"] = m.epoch;
  line["loss"] = number(m.loss);
  if (m.terms) {
    line["ce"] = number(m.terms->ce);
    line["hidden"] = number(m.terms->hidden);
    line["kl"] = number(m.terms->kl);
  }
  line["grad_norm"] = number(m.gradient_norm);
  for (const auto& [group, value] : m.rates) line["lr"][group] = value;
  line["tokens"] = m.tokens;
  line["targets"] = m.targets;
  line["samples"] = m.samples;
  line["skipped"] = m.skipped;
  line["seconds"] = m.seconds;
  line["wait_seconds"] = m.wait_seconds;
  line["processor_seconds"] = m.processor_seconds;
  line["tokens_per_s"] = rate(m.tokens, m.seconds);
  line["memory_bytes"] = m.memory_bytes;
  return line.dump();
}

std::string to_json_line(const EvaluationMetrics& m) {
  Json line;
  line["step"] = m.step;
  if (m.benchmark) {
    each_score_field(*m.benchmark, FieldWriter{line});
  } else {
    each_loss_field(m, FieldWriter{line});
    line["eval_accuracy"] = rate(m.exact, static_cast<double>(m.questions));
  }
  line["seconds"] = m.seconds;
  return line.dump();
}

RecordedStep recorded_step(const std::filesystem::path& folder, std::int64_t step) {
  RecordedStep recorded;
  const std::filesystem::path file = folder / kMetricsFile;
  if (!is_file(file)) return recorded;
  for (const std::string& text : split(read_file(file, kMostBytes), '\n')) {
    const auto line = try_parse_json(text);
    if (step_of_line(line) != step) continue;
    if (is_of_evaluation(*line)) {
      recorded.evaluation = evaluation_in(*line);
    } else {
      recorded.loss = number_in(*line, "loss");
    }
  }
  return recorded;
}

MetricsFile::MetricsFile(const std::filesystem::path& folder, std::int64_t resume_step, bool owes_evaluation)
    : file_(cut_to(OutputPath::inside(folder, kMetricsFile), resume_step, owes_evaluation)) {}

void MetricsFile::append(const std::string& line) {
  file_.append(line + "\n");
}

}  // namespace striate
