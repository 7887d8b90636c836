#include "striate/train/metrics.h"

#include <cmath>
#include <nlohmann/json.hpp>

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

// JSON has no infinities: a step that was skipped for one says so in words.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

double rate(std::int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
}

// The lines about steps up to `last`; a line that was cut short by a crash is the end.
std::string lines_until(const std::string& text, std::int64_t last) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const auto line = try_parse_json(std::string_view(text).substr(begin, end - begin));
    if (!line || !line->is_object() || !line->contains("step") || !line->at("step").is_number_integer()) break;
    if (line->at("step").get<std::int64_t>() > last) break;
    begin = end + 1;
  }
  return text.substr(0, begin);
}

// The file without the lines about later steps than `resume_step`.
OutputPath cut_to(OutputPath path, std::int64_t resume_step) {
  if (path_exists(path.path())) {
    const std::string text = read_file(path.path(), std::uint64_t{1} << 34);
    const std::string kept = lines_until(text, resume_step);
    if (kept.size() != text.size()) write_file(path, kept);
  }
  return path;
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
    const BenchmarkScore& score = *m.benchmark;
    line["eval_benchmark"] = score.benchmark;
    line["eval_protocol"] = score.protocol;
    line["eval_metric"] = score.headline.name;
    line["eval_score"] = number(score.headline.value);
    line["eval_score_low"] = number(score.interval.low);
    line["eval_score_high"] = number(score.interval.high);
    line["eval_questions"] = score.questions;
    line["eval_answered"] = score.answered;
    line["eval_empty"] = score.empty;
    line["eval_unparsed"] = score.unparsed;
    line["eval_cut"] = score.cut;
    line["eval_bad"] = score.bad;
    line["seconds"] = m.seconds;
    return line.dump();
  }
  line["eval_loss"] = number(m.loss);
  line["eval_targets"] = m.targets;
  line["eval_questions"] = m.questions;
  line["eval_exact"] = m.exact;
  line["eval_accuracy"] = rate(m.exact, static_cast<double>(m.questions));
  line["seconds"] = m.seconds;
  return line.dump();
}

MetricsFile::MetricsFile(const std::filesystem::path& folder, std::int64_t resume_step)
    : file_(cut_to(OutputPath::inside(folder, kMetricsFile), resume_step)) {}

void MetricsFile::append(const std::string& line) {
  file_.append(line + "\n");
}

}  // namespace striate
