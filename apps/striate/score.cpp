// striate score: measures every layer of a model, on data and against the model it was tuned from.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/striate/command.h"
#include "apps/striate/model_flags.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/log.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/eval/layer_scoring.h"
#include "striate/eval/score_report.h"
#include "striate/report/heat_map.h"

namespace striate::app {
namespace {

const std::vector<std::string> kMetrics = {"bi", "angular", "image_attention"};

struct ScoreFlags {
  ModelFlags model;
  ComputeFlags compute;
  std::string base, data, images, out, report, tokenizer, conversation, on_bad_sample = "stop", feature_cache_folder;
  std::vector<std::string> metrics = kMetrics;
  std::int64_t samples = 200;
  std::uint64_t seed = 234;
  std::int64_t tokens_per_stream = 8192;
  std::int64_t max_tokens = 2048;
  int data_threads = 2;
  bool no_shuffle = false, after_final_norm = false, json = false;
};

LayerScoreOptions score_options(const ScoreFlags& flags) {
  LayerScoreOptions options;
  for (const std::string& metric : flags.metrics) {
    if (std::find(kMetrics.begin(), kMetrics.end(), metric) != kMetrics.end()) continue;
    const std::string nearest = nearest_name(metric, kMetrics);
    throw invalid_input(cat("--metrics ", metric, ": unknown"),
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

// A file that cannot be written is found out before the work, not after it.
void check_place(const std::string& flag, const std::string& file) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::absolute(file).parent_path();
  if (!fs::is_directory(folder)) {
    throw invalid_input(cat(flag, " ", file, ": there is no folder ", folder.string()), "make the folder first");
  }
  if (fs::is_directory(file)) throw invalid_input(cat(flag, " ", file, ": is a folder"), "give the name of a file");
}

LayerScoringRequest request_of(const ScoreFlags& flags, const Ranks& ranks) {
  if (flags.out.empty())
    throw invalid_input("no --out file was given", "give the file the scores go to: --out scores.json");
  check_place("--out", flags.out);
  if (!flags.report.empty()) check_place("--report", flags.report);
  if (flags.samples < 1) throw invalid_input(cat("--samples ", flags.samples), "give 1 or more");
  if (flags.max_tokens < 1) throw invalid_input(cat("--max-tokens ", flags.max_tokens), "give 1 or more");
  if (flags.data_threads < 1) throw invalid_input(cat("--data-threads ", flags.data_threads), "give 1 or more");
  LayerScoringRequest request;
  request.model = flags.model.paths();
  if (!flags.base.empty()) request.base = existing_path("--base", flags.base);
  request.placement = flags.compute.placement(ranks);
  if (!flags.tokenizer.empty()) request.tokenizer = existing_path("--tokenizer", flags.tokenizer);
  if (!flags.conversation.empty()) request.conversation = parse_template(flags.conversation);
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
  request.version = STRIATE_VERSION;
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
  std::cout << scores.model << ": " << scores.layers << (scores.layers == 1 ? " layer" : " layers");
  if (scores.samples > 0) std::cout << ", " << scores.samples << (scores.samples == 1 ? " sample" : " samples");
  if (scores.tokens) std::cout << ", " << scores.tokens->total << " tokens";
  std::cout << "\nmean +- standard error over samples; * highest of the column\n";
  for (std::size_t first = 0; first < names.size(); first += kColumnsAtOnce) {
    const std::size_t last = std::min(first + kColumnsAtOnce, names.size());
    std::cout << "\nlayer";
    std::vector<std::size_t> widths;
    for (std::size_t i = first; i < last; ++i) {
      std::size_t width = names[i].size() + 1;
      for (std::size_t layer = 0; layer < static_cast<std::size_t>(scores.layers); ++layer) {
        width = std::max(width, cell(scores.metric(names[i]), layer).size());
      }
      widths.push_back(width);
      std::cout << "  " << std::right << std::setw(static_cast<int>(width)) << names[i] + " ";
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

void run_score(const ScoreFlags& flags) {
  const Ranks ranks = find_ranks();
  const LayerScoringRequest request = request_of(flags, ranks);
  std::optional<Progress> bar;
  std::int64_t shown = 0;
  const ScoringProgress progress = [&](std::int64_t done, std::int64_t total) {
    if (ranks.rank != 0 || flags.json) return;
    if (!bar) bar.emplace("Scoring", static_cast<std::uint64_t>(total), ProgressOptions::standard_error("samples"));
    bar->advance(static_cast<std::uint64_t>(done - shown));
    shown = done;
  };
  const ScoreFile scores = score_layers(request, ranks, progress);
  if (bar) bar->finish();
  if (ranks.rank != 0) return;
  write_score_file(scores, flags.out);
  if (!flags.report.empty()) write_file(flags.report, score_report(scores));
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
  c.add_option("--base", f.base, "What the model was tuned from: adds how much each layer's weights changed")
      ->type_name("DIR");
  c.add_option("--data", f.data, "LLaVA JSON or JSON Lines; without it only --base counts")->type_name("FILE");
  c.add_option("--images", f.images, "The folder its pictures are in")->type_name("DIR");
  c.add_option("--samples", f.samples, "How many samples, drawn over the whole file")->capture_default_str();
  c.add_option("--seed", f.seed, "Which ones are drawn")->capture_default_str();
  c.add_flag("--no-shuffle", f.no_shuffle, "Take the first samples of the file instead");
  c.add_option("--metrics", f.metrics, "What to measure: bi, angular, image_attention")
      ->delimiter(',')
      ->type_name("NAMES")
      ->default_str(join(kMetrics, ","));
  c.add_flag("--after-final-norm", f.after_final_norm, "Take the last state after the final norm, as the authors do");
  c.add_option("--out", f.out, "Where the scores go (docs/scores.md)")->type_name("FILE");
  c.add_option("--report", f.report, "An HTML heat map as well")->type_name("FILE");
  c.add_option("--tokens-per-stream", f.tokens_per_stream, "Tokens that pass through the model at once, at most")
      ->capture_default_str();
  c.add_option("--max-tokens", f.max_tokens, "Longer samples are cut; pictures count their rows")
      ->capture_default_str();
  c.add_option("--template", f.conversation, "vicuna_v1, bunny, llama, phi3, plain; default: the model's");
  c.add_option("--tokenizer", f.tokenizer, "A tokenizer's folder or file; default: the model's")->type_name("PATH");
  c.add_option("--on-bad-sample", f.on_bad_sample, "stop, or skip")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  c.add_option("--feature-cache-dir", f.feature_cache_folder, "Keep pictures' features on disk")->type_name("DIR");
  c.add_option("--data-threads", f.data_threads, "Threads that read, decode and tokenise")->capture_default_str();
  f.compute.add_to(c);
  c.add_flag("--json", f.json, "Print the scores as one JSON object and nothing else");
}

}  // namespace

void add_score(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<ScoreFlags>();
  CLI::App* command = app.add_subcommand("score", "Measure what each layer does, and how much tuning changed it");
  add_flags(*command, *flags);
  command->footer(
      example("striate score --model llava-1.5-7b-hf --data conversations.json --images pictures --samples 500 "
              "--out scores.json --report scores.html"));
  command->callback([flags, &run] {
    run.computes = true;
    run.action = [flags] { run_score(*flags); };
  });
}

}  // namespace striate::app
