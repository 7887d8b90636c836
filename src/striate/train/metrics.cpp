#include "striate/train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/files.h"
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
    const nlohmann::json line = nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                                      text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (!line.is_object() || !line.contains("step") || !line.at("step").is_number_integer()) break;
    if (line.at("step").get<std::int64_t>() > last) break;
    begin = end + 1;
  }
  return text.substr(0, begin);
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
  line["tokens_per_s"] = rate(m.tokens, m.seconds);
  line["memory_bytes"] = m.memory_bytes;
  return line.dump();
}

std::string to_json_line(const EvaluationMetrics& m) {
  Json line;
  line["step"] = m.step;
  line["eval_loss"] = number(m.loss);
  line["eval_targets"] = m.targets;
  line["eval_questions"] = m.questions;
  line["eval_exact"] = m.exact;
  line["eval_accuracy"] = rate(m.exact, static_cast<double>(m.questions));
  line["seconds"] = m.seconds;
  return line.dump();
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t resume_step) : path_(path) {
  if (std::filesystem::exists(path)) {
    const std::string text = read_file(path, std::uint64_t{1} << 34);
    const std::string kept = lines_until(text, resume_step);
    if (kept.size() != text.size()) write_file(path, kept);
  }
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw resource_error(cat(path.string(), ": cannot be written: ", std::strerror(errno)),
                         "check that the folder is writable");
  }
}

MetricsFile::~MetricsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MetricsFile::append(const std::string& line) {
  const std::string text = line + "\n";
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(descriptor_, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      throw resource_error(cat(path_.string(), ": ", std::strerror(errno)),
                           "free some room on the disk, then --resume");
    }
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

void MetricsFile::sync() {
  ::fsync(descriptor_);
}

}  // namespace striate
