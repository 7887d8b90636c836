// striate score: measures every layer of a model, on data and against the model it was tuned from.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/striate/command.h"
#include "apps/striate/data_flags.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/model_flags.h"
#include "apps/striate/result_file.h"
#include "apps/striate/terminal_notes.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/error.h"
#include "striate/base/log.h"
#include "striate/base/paths.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/eval/layer_scoring.h"
#include "striate/eval/score_report.h"
#include "striate/report/html.h"
#include "striate/report/numbers.h"

namespace striate::app {
namespace {

const std::vector<std::string> kMetrics = {"bi", "angular", "image_attention"};

struct ScoreFlags {
  ModelFlags model;
  ComputeFlags compute;
  TextFlags text;
  std::string region = "from-run", base, data, images, out, report, on_bad_sample = "stop", feature_cache_folder;
  std::vector<std::string> metrics = kMetrics;
  std::int64_t samples = 200;
  std::uint64_t seed = 234;
  std::int64_t tokens_per_stream = 8192;
  std::int64_t max_tokens = 2048;
  int data_threads = 2;
  bool no_shuffle = false, after_final_norm = false, json = false, overwrite = false;
};

LayerScoreOptions score_options(const ScoreFlags& flags) {
  LayerScoreOptions options;
  for (const std::string& metric : flags.metrics) {
    if (std::find(kMetrics.begin(), kMetrics.end(), metric) != kMetrics.end()) continue;
    const std::string nearest = nearest_name(metric, kMetrics);
    throw invalid_input(cat("--metrics ", metric, ": unknown metric"),
                        nearest.empty() ? "known: " + join(kMetrics, ", ") : cat("did you mean ", nearest, "?"));
  }
  const auto asked = [&](const std::string& name) {
    return std::find(flags.metrics.begin(), flags.metrics.end(), name) != flags.metrics.end();
  };
  options.block_influence = asked("bi");
  options.angular = asked("angular");
  options.image_attention = asked("image_attention");
  options.after_final_norm = flags.after_final_norm;
  return options;
}

void refuse_flags_without_use(const ScoreFlags& flags, const CLI::App& command) {
  if (flags.data.empty()) {
    refuse_unread(
        command,
        {"--images", "--samples", "--seed", "--no-shuffle", "--metrics", "--after-final-norm", "--tokens-per-stream",
         "--max-tokens", "--template", "--tokenizer", "--on-bad-sample", "--feature-cache-dir", "--data-threads"},
        "needs --data", "give the samples to measure on with --data FILE, or leave it out");
  }
  const auto asked = [&flags](const char* metric) {
    return std::find(flags.metrics.begin(), flags.metrics.end(), metric) != flags.metrics.end();
  };
  if (!asked("bi") && !asked("angular")) {
    refuse_unread(command, {"--after-final-norm"}, "does not apply to these --metrics",
                  "leave it out, or measure bi or angular as well");
  }
  if (flags.no_shuffle) {
    refuse_unread(command, {"--seed"}, "does not apply to --no-shuffle", "the first samples are taken: leave it out");
  }
}

LayerScoringRequest request_of(const ScoreFlags& flags, const Ranks& ranks) {
  if (flags.out.empty())
    throw invalid_input("no --out file was given", "give the file for the scores: --out scores.json");
  LayerScoringRequest request;
  request.model = flags.model.paths();
  if (!flags.base.empty()) request.base = existing_path("--base", flags.base);
  request.region = flags.region;
  request.placement = flags.compute.placement(ranks);
  request.tokenizer = flags.text.tokenizer_asked();
  request.conversation = flags.text.conversation_asked();
  request.data.data = existing_path("--data", flags.data);
  request.data.images = existing_path("--images", flags.images);
  request.data.most_items = flags.samples;
  if (!flags.no_shuffle) request.data.draw_seed = flags.seed;
  request.data.max_tokens = flags.max_tokens;
  request.data.on_bad_sample = flags.on_bad_sample == "skip" ? OnBadSample::kSkip : OnBadSample::kStop;
  request.data.feature_cache_bytes = 0;  // one pass: a picture seen is not needed again
  request.data.feature_cache_folder = flags.feature_cache_folder;
  request.data.threads = flags.data_threads;
  request.scores = score_options(flags);
  request.tokens_per_stream = flags.tokens_per_stream;
  return request;
}

// "0.1312 +-0.0021", "*" behind the highest of a column.
std::string cell(const Score& score, std::size_t layer) {
  const double value = score.mean[layer];
  if (!std::isfinite(value)) return "-";
  double highest = value;
  for (const double other : score.mean) {
    if (std::isfinite(other)) highest = std::max(highest, other);
  }
  std::string out = short_number(value);
  if (!score.standard_error.empty() && std::isfinite(score.standard_error[layer])) {
    const Measured text = measured(value, score.standard_error[layer]);
    out = cat(text.value, " +-", text.error);
  }
  return out + (value == highest ? "*" : " ");
}

void print_table(const ScoreFlags& flags, const ScoreFile& scores) {
  const std::vector<std::string> names = metrics_in_order(scores);
  constexpr std::size_t kColumnsAtOnce = 5;  // what fits a terminal
  std::cout << printable(scores.model) << ": " << counted(scores.layers, "layer");
  if (scores.samples > 0) std::cout << ", " << counted(scores.samples, "sample");
  if (scores.tokens) std::cout << ", " << scores.tokens->total << " tokens";
  std::cout << "\nmean +- standard error over samples; * the highest of its column\n";
  for (std::size_t first = 0; first < names.size(); first += kColumnsAtOnce) {
    const std::size_t last = std::min(first + kColumnsAtOnce, names.size());
    std::cout << "\nlayer";
    std::vector<std::size_t> widths;
    for (std::size_t i = first; i < last; ++i) {
      std::size_t width = printable(names[i]).size() + 1;
      for (std::size_t layer = 0; layer < static_cast<std::size_t>(scores.layers); ++layer) {
        width = std::max(width, cell(scores.metric(names[i]), layer).size());
      }
      widths.push_back(width);
      std::cout << "  " << std::right << std::setw(static_cast<int>(width)) << printable(names[i]) + " ";
    }
    std::cout << '\n';
    for (std::size_t layer = 0; layer < static_cast<std::size_t>(scores.layers); ++layer) {
      std::cout << std::setw(5) << layer;
      for (std::size_t i = first; i < last; ++i) {
        std::cout << "  " << std::setw(static_cast<int>(widths[i - first])) << cell(scores.metric(names[i]), layer);
      }
      std::cout << '\n';
    }
  }
  std::cout << "\nscores  " << flags.out << '\n';
  if (!flags.report.empty()) std::cout << "report  " << flags.report << '\n';
  std::cout << "use     striate region --layers-total " << scores.layers << " --scores " << flags.out << std::endl;
}

void run_score(const ScoreFlags& flags, const CLI::App& command) {
  refuse_flags_without_use(flags, command);
  const Ranks ranks = find_ranks();
  const LayerScoringRequest request = request_of(flags, ranks);
  std::unique_ptr<AtomicFile> out, report;
  if (ranks.rank == 0) {
    out = open_result("--out", flags.out, flags.overwrite);
    report = open_result("--report", flags.report, flags.overwrite, kHtmlMark);
  }
  std::optional<Progress> bar;
  std::int64_t shown = 0;
  ScoringObserver observer;
  observer.notes = terminal_notes();
  observer.progress = [&](std::int64_t done, std::int64_t total) {
    if (ranks.rank != 0 || flags.json) return;
    if (!bar) bar.emplace("Scoring", static_cast<std::uint64_t>(total), ProgressOptions::standard_error("samples"));
    bar->advance(static_cast<std::uint64_t>(done - shown));
    shown = done;
  };
  const ScoreFile scores = score_layers(request, ranks, observer);
  if (bar) bar->finish();
  if (ranks.rank != 0) return;
  write_score_file(scores, *out);
  if (report) {
    report->write(score_report(scores));
    report->commit();
  }
  for (const std::string& warning : score_warnings(scores)) log_warn(warning);
  for (const std::string& note : score_notes(scores)) log_info(note);
  if (flags.json) {
    std::cout << score_file_json(scores).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  } else {
    print_table(flags, scores);
  }
}

void add_flags(CLI::App& c, ScoreFlags& f) {
  f.model.add_to(c);
  c.add_option("--base", f.base, "Folder of the model before tuning; adds how much each layer's weights changed")
      ->type_name("DIR");
  c.add_option("--data", f.data,
               "Samples to measure on (LLaVA JSON or JSON Lines); without them only --base is compared")
      ->type_name("FILE");
  add_images(c, f.images);
  c.add_option("--samples", f.samples, "Number of samples, drawn from the whole file")
      ->check(whole_number(1, kMostSamples))
      ->capture_default_str();
  add_draw_seed(c, f.seed);
  c.add_flag("--no-shuffle", f.no_shuffle, "Take the first samples of the file instead");
  c.add_option("--metrics", f.metrics, "Metrics to measure: bi, angular, image_attention")
      ->delimiter(',')
      ->type_name("NAMES")
      ->default_str(join(kMetrics, ","));
  c.add_flag("--after-final-norm", f.after_final_norm,
             "Take the last layer's output after the final norm, as the authors' code does");
  c.add_option("--region", f.region,
               "Layers that the report marks: a layer set, none, or from-run (the recorded region, where there is one)")
      ->type_name("SPEC")
      ->capture_default_str();
  c.add_option("--out", f.out, "File for the scores (docs/scores.md)")->type_name("FILE");
  c.add_option("--report", f.report, "HTML file for a page of charts and tables of the scores")->type_name("FILE");
  add_tokens_per_stream(c, f.tokens_per_stream, 1);
  add_max_tokens(c, f.max_tokens, 1);
  f.text.add_to(c);
  c.add_option("--on-bad-sample", f.on_bad_sample, "Action on a bad sample: stop or skip")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  add_feature_cache_dir(c, f.feature_cache_folder);
  add_data_threads(c, f.data_threads);
  add_overwrite(c, f.overwrite);
  f.compute.add_to(c);
  c.add_flag("--json", f.json, "Print the scores as one JSON object and nothing else");
}

}  // namespace

void add_score(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<ScoreFlags>();
  CLI::App* command = app.add_subcommand("score", "Measure what each layer does, and how much tuning changed it");
  add_flags(*command, *flags);
  command->footer(
      example("striate score --model llava-1.5-7b-hf --data conversations.json --images pictures --samples 500 "
              "--out scores.json --report scores.html"));
  command->callback([flags, command, &run] {
    run.computes = true;
    run.action = [flags, command] { run_score(*flags, *command); };
  });
}

}  // namespace striate::app
