#include "striate/train/training_page.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/model/layer_set.h"
#include "striate/report/depth_strip.h"
#include "striate/report/example_card.h"
#include "striate/report/line_chart.h"
#include "striate/report/report_page.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using RunJson = nlohmann::json;

// kMetricsFile of train/metrics.h, which needs LibTorch; this source does not.
constexpr const char* kStepsFile = "metrics.jsonl";
constexpr std::size_t kMostPlotted = 60;  // points of a curve: more steps are joined to means
constexpr std::size_t kMostAnswers = 24;
constexpr std::int64_t kMostDrawnLayers = 1000;
constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

// One line of metrics.jsonl.
struct MetricsLines {
  std::vector<RunJson> steps, evaluations;
};

MetricsLines metrics_lines(const fs::path& run) {
  MetricsLines lines;
  if (!is_file(run / kStepsFile)) return lines;
  for (const std::string& text : split(read_file(run / kStepsFile, std::uint64_t{1} << 34), '\n')) {
    std::optional<RunJson> line = try_parse_json(text);
    if (!line || !line->is_object() || !line->contains("step") || !line->at("step").is_number()) continue;
    const bool evaluation = line->contains("eval_loss") || line->contains("eval_score");
    (evaluation ? lines.evaluations : lines.steps).push_back(std::move(*line));
  }
  return lines;
}

double number_at(const RunJson& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : kNoNumber;
}

std::string text_at(const RunJson& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const RunJson& object_at(const RunJson& object, const char* key) {
  static const RunJson kEmpty = RunJson::object();
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : kEmpty;
}

// Numbers of all steps as means of windows: at most kMostPlotted points.
LineSeries step_series(std::string name, const std::vector<RunJson>& steps,
                       const std::function<double(const RunJson&)>& number) {
  LineSeries series{.name = std::move(name)};
  const std::size_t window = (steps.size() + kMostPlotted - 1) / kMostPlotted;
  double sum = 0, count = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double value = number(steps[i]);
    if (std::isfinite(value)) {
      sum += value;
      ++count;
    }
    if ((i + 1) % window != 0 && i + 1 != steps.size()) continue;
    if (count > 0) {
      series.x.push_back(number_at(steps[i], "step"));
      series.y.push_back(sum / count);
    }
    sum = count = 0;
  }
  return series;
}

LineSeries field_series(const char* name, const std::vector<RunJson>& steps, const char* key, double unit = 1) {
  return step_series(name, steps, [&](const RunJson& line) { return number_at(line, key) / unit; });
}

void add_chart(ReportPage& page, LineChart chart) {
  std::erase_if(chart.series, [](const LineSeries& series) { return series.x.empty(); });
  if (chart.series.empty()) return;
  chart.folded = true;
  page.sections.push_back(line_chart_html(chart));
}

void add_step_charts(ReportPage& page, const std::vector<RunJson>& steps) {
  const std::string note = steps.size() > kMostPlotted ? "Each point is the mean of its steps." : "One point per step.";
  add_chart(page, {.title = "Loss",
                   .note = note,
                   .x_name = "step",
                   .y_name = "loss, nats per token",
                   .series = {field_series("loss", steps, "loss"), field_series("cross-entropy", steps, "ce"),
                              field_series("hidden states", steps, "hidden"), field_series("logits", steps, "kl")}});
  LineChart rates{.title = "Learning rate", .note = note, .x_name = "step", .y_name = "learning rate"};
  if (!steps.empty()) {
    for (const auto& [group, rate] : object_at(steps.front(), "lr").items()) {
      rates.series.push_back(step_series(group, steps, [&group = group](const RunJson& line) {
        return number_at(object_at(line, "lr"), group.c_str());
      }));
    }
  }
  add_chart(page, std::move(rates));
  add_chart(page, {.title = "Speed",
                   .note = note,
                   .x_name = "step",
                   .y_name = "tokens per second",
                   .series = {field_series("tokens per second", steps, "tokens_per_s")}});
  add_chart(page, {.title = "Memory",
                   .note = "The most of this process so far; on a GPU, of the device.",
                   .x_name = "step",
                   .y_name = "MB",
                   .series = {field_series("peak", steps, "memory_bytes", 1e6)}});
}

void add_evaluation_charts(ReportPage& page, const std::vector<RunJson>& evaluations) {
  if (evaluations.empty()) return;
  const auto series = [&](const char* name, const char* key, double unit) {
    LineSeries out{.name = name};
    for (const RunJson& line : evaluations) {
      out.x.push_back(number_at(line, "step"));
      out.y.push_back(number_at(line, key) * unit);
    }
    const bool any = std::ranges::any_of(out.y, [](double value) { return std::isfinite(value); });
    return any ? out : LineSeries{.name = name};
  };
  add_chart(page, {.title = "Loss on held-out samples",
                   .note = "Mean negative log-likelihood of the reference answers' tokens; lower is better.",
                   .x_name = "step",
                   .y_name = "loss, nats per token",
                   .series = {series("held out", "eval_loss", 1)}});
  add_chart(page, {.title = "Exact answers to held-out questions",
                   .note = "Share of the questions whose greedy answer is the reference's.",
                   .x_name = "step",
                   .y_name = "exactly right, %",
                   .series = {series("held out", "eval_accuracy", 100)}});
  LineSeries score = series("score", "eval_score", 1);
  if (score.x.empty()) return;
  for (const RunJson& line : evaluations) {
    score.low.push_back(number_at(line, "eval_score_low"));
    score.high.push_back(number_at(line, "eval_score_high"));
  }
  const RunJson& last = evaluations.back();
  add_chart(page, {.title = cat("Score on ", text_at(last, "eval_benchmark")),
                   .note = cat("By the protocol ", text_at(last, "eval_protocol"),
                               ". Bars are 95% intervals: the questions are drawn again a thousand times."),
                   .x_name = "step",
                   .y_name = text_at(last, "eval_metric"),
                   .series = {score}});
}

// The answers of the latest evaluation, wrong ones first.
void add_answers(ReportPage& page, const fs::path& run) {
  if (!is_folder(run / "eval")) return;
  std::vector<fs::path> files = entries_of(run / "eval");
  std::erase_if(files, [](const fs::path& file) { return file.extension() != ".jsonl" || !is_file(file); });
  if (files.empty()) return;
  std::vector<ExampleCard> wrong, right;
  for (const std::string& text : split(read_file(files.back()), '\n')) {
    const std::optional<RunJson> line = try_parse_json(text);
    if (!line || !line->is_object() || !line->contains("text")) continue;
    const auto exact = line->find("exact");
    const bool judged = exact != line->end() && exact->is_boolean();
    const bool is_right = judged && exact->get<bool>();
    ExampleCard card{.id = text_at(*line, "question_id"),
                     .question = text_at(*line, "prompt"),
                     .reference = text_at(*line, "reference")};
    card.answers.push_back({"answer", text_at(*line, "text"), is_right ? 1.0 : 0.0, judged});
    (is_right ? right : wrong).push_back(std::move(card));
  }
  const std::size_t all = wrong.size() + right.size();
  if (all == 0) return;
  std::move(right.begin(), right.end(), std::back_inserter(wrong));
  wrong.resize(std::min(wrong.size(), kMostAnswers));
  std::string html = cat("<section>\n<h2>Answers to held-out questions</h2>\n<p class=\"quiet\">", wrong.size(), " of ",
                         all, " of the latest evaluation, those that are not exactly the reference first.</p>\n");
  for (const ExampleCard& card : wrong) html += example_card_html(card);
  page.sections.push_back(html + "</section>\n");
}

void add_region(ReportPage& page, const RunJson& record) {
  const RunJson& region = object_at(record, "region");
  const double depth = number_at(region, "of");
  if (!(depth >= 1 && depth <= static_cast<double>(kMostDrawnLayers)) || !region.contains("layers") ||
      !region.at("layers").is_array())
    return;
  DepthStrip strip{.name = "region", .layers = static_cast<std::int64_t>(depth)};
  for (const RunJson& layer : region.at("layers")) {
    if (layer.is_number_unsigned() && layer.get<std::uint64_t>() < static_cast<std::uint64_t>(strip.layers))
      strip.marked.push_back(layer.get<std::int64_t>());
  }
  if (strip.marked.empty()) return;  // the projector alone
  strip.meaning = cat(named_layers(strip.marked), " of ", strip.layers, " (", text_at(region, "spec"), ")");
  page.sections.push_back(depth_strip_html(strip));
}

std::vector<std::pair<std::string, std::string>> run_facts(const RunJson& record, const std::vector<RunJson>& steps) {
  const RunJson &model = object_at(record, "model"), &hardware = object_at(record, "hardware"),
                &result = object_at(record, "result");
  std::vector<std::pair<std::string, std::string>> facts;
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) facts.emplace_back(name, value);
  };
  const auto count = [](double value) {
    return value >= 0 ? human_count(static_cast<std::uint64_t>(std::min(value, 1e18))) : std::string();
  };
  add("model", text_at(model, "folder"));
  add("trained parameters", count(number_at(record, "trained_parameters")));
  add("steps",
      cat(std::isfinite(number_at(result, "steps")) ? number_at(result, "steps") : static_cast<double>(steps.size()),
          " of ", number_at(record, "steps")));
  add("samples", count(number_at(result, "samples")));
  add("tokens", count(number_at(result, "tokens")));
  const double seconds = number_at(result, "seconds");
  if (seconds >= 0 && seconds < 1e9) add("time", human_duration(seconds));
  double memory = 0;
  for (const RunJson& step : steps)
    memory = std::max(memory, std::isfinite(number_at(step, "memory_bytes")) ? number_at(step, "memory_bytes") : 0);
  if (memory > 0) add("peak memory", human_bytes(static_cast<std::uint64_t>(std::min(memory, 1e18))));
  add("device", text_at(hardware, "device"));
  add("processor", text_at(hardware, "cpu"));
  add("computed in", text_at(hardware, "compute"));
  add("started", text_at(record, "started"));
  add("ended", text_at(result, "ended"));
  add("striate", text_at(record, "version"));
  return facts;
}

}  // namespace

std::string training_page(const fs::path& run) {
  const RunJson record = read_json_file(run / "run.json", kHistoryJson);
  const MetricsLines lines = metrics_lines(run);
  ReportPage page{.title = cat("Training run: ", full_path(run).filename().string()),
                  .subtitle = cat("striate ", text_at(record, "command")),
                  .facts = run_facts(record, lines.steps)};
  const RunJson& result = object_at(record, "result");
  if (!result.contains("done") || result.at("done") != true)
    page.warnings.emplace_back("The run has not come to its end: it was stopped, or it still goes on.");
  if (const double skipped = number_at(result, "skipped_steps"); skipped > 0)
    page.warnings.push_back(cat(counted(skipped, "step"), skipped == 1 ? " was" : " were",
                                " skipped: the loss or the gradient was not finite."));
  if (const double bad = number_at(result, "bad_samples"); bad > 0)
    page.warnings.push_back(cat(counted(bad, "sample"), " could not be used: see bad_samples.jsonl."));
  add_region(page, record);
  add_step_charts(page, lines.steps);
  add_evaluation_charts(page, lines.evaluations);
  add_answers(page, run);
  return report_page(page);
}

void write_training_page(const fs::path& run) {
  write_file(OutputPath::inside(run, kTrainingPageFile), training_page(run));
}

}  // namespace striate
