#include "apps/striate/prune_flags.h"

#include "apps/striate/flag_ranges.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config_bounds.h"

namespace striate::app {
namespace {

constexpr const char* kNeedsData = "give the samples to measure scores on with --data FILE, or leave it out";

std::optional<std::filesystem::path> given_path(const std::string& flag, const std::string& path) {
  if (path.empty()) return std::nullopt;
  return existing_path(flag, path);
}

std::int64_t sweep_bound(const std::string& sweep, const std::string& digits) {
  const bool number =
      !digits.empty() && digits.size() < 6 && digits.find_first_not_of("0123456789") == std::string::npos;
  if (number) return std::stoll(digits);
  throw invalid_input(cat("--sweep ", sweep, " is not a range of numbers"), "write a range as in --sweep 0..4");
}

std::optional<ModelPaths> baseline_paths(const PruneFlags& flags) {
  if (flags.baseline.empty() && flags.baseline_adapter.empty()) return std::nullopt;
  ModelPaths paths = flags.model.paths();
  if (!flags.baseline.empty()) {
    paths = {};
    paths.model = existing_path("--baseline", flags.baseline);
  }
  paths.adapter = given_path("--baseline-adapter", flags.baseline_adapter);
  return paths;
}

void refuse_flags_of_a_sweep(const PruneFlags& f, const CLI::App& command) {
  refuse_unread(
      command,
      {"--eval-data", "--eval-benchmark", "--eval-protocol", "--eval-images", "--eval-samples", "--eval-max-tokens",
       "--baseline", "--baseline-adapter", "--baseline-scores", "--report", "--overwrite"},
      "needs --sweep", "add --sweep A..B to measure what removing layers costs, or leave it out");
  if (!f.layers.empty()) {
    refuse_unread(command, {"--data"}, "does not apply to --layers",
                  "leave out --layers to choose layers by scores on the data");
    if (f.metric != "list") {
      refuse_unread(command, {"--metric"}, "does not apply to --layers", "leave out --layers to choose by a metric");
    }
  }
  if (f.data.empty()) {
    refuse_unread(command,
                  {"--images", "--samples", "--seed", "--max-tokens", "--tokens-per-stream", "--device", "--precision"},
                  "needs --data", kNeedsData);
  }
}

void refuse_flags_of_one_pruning(const PruneFlags& f, const CLI::App& command) {
  refuse_unread(command, {"--remove", "--layers", "--keep-adapter", "--dtype", "--max-shard-size", "--no-verify"},
                "does not apply to --sweep",
                "a sweep measures and writes no model: leave it out, or prune once without --sweep");
  if (f.data.empty()) {
    refuse_unread(command, {"--samples", "--seed"}, "needs --data", kNeedsData);
  }
  if (!f.held_out.benchmark.empty()) {
    refuse_unread(command, {"--eval-max-tokens"}, "does not apply to --eval-benchmark",
                  "leave it out: the benchmark's protocol says how long an answer may be");
    if (f.data.empty()) refuse_unread(command, {"--images", "--max-tokens"}, "needs --data", kNeedsData);
  }
  if (f.report.empty()) {
    refuse_unread(command, {"--overwrite"}, "needs --report",
                  "give the file of the curves with --report, or leave it out");
  }
}

// Every model that is pruned has scores of its own; data measures the scores of those that have no file.
void refuse_data_beside_scores(const PruneFlags& f, const CLI::App& command) {
  const bool baseline = !f.baseline.empty() || !f.baseline_adapter.empty();
  if (f.scores.empty() || (baseline && f.baseline_scores.empty())) return;
  refuse_unread(command, {"--data"}, "does not apply to --scores", "give one of them");
}

void add_choice(CLI::App& c, PruneFlags& f) {
  const std::string group = "Layers to remove";
  c.add_option("--region", f.region,
               "Layers that stay: a layer set, from-run (the region recorded for the model or adapter) or none")
      ->type_name("SPEC")
      ->capture_default_str()
      ->group(group);
  c.add_option("--remove", f.remove, "Number of layers to remove")
      ->check(whole_number(1, kMostLayers))
      ->type_name("N")
      ->group(group);
  c.add_option("--layers", f.layers, "Layers to remove, instead of choosing them by scores")
      ->type_name("SPEC")
      ->group(group);
  c.add_option("--metric", f.metric, "Score that chooses layers, lowest first: angular, bi, bi_multimodal, ...")
      ->capture_default_str()
      ->group(group);
  c.add_flag("--contiguous", f.contiguous, "Remove one block of neighbouring layers, chosen by its angular distance")
      ->group(group);
  c.add_flag("--spaced", f.spaced, "Remove no two neighbouring layers")->group(group);
  c.add_option("--scores", f.scores, "Score file written by striate score")->type_name("FILE")->group(group);
  c.add_option("--data", f.data, "Samples to measure the scores on, instead of --scores: LLaVA JSON")
      ->type_name("FILE")
      ->group(group);
  add_images(c, f.images, group);
  c.add_option("--samples", f.samples, "Number of these samples; 0: all")
      ->check(whole_number(0, kMostSamples))
      ->capture_default_str()
      ->group(group);
  add_draw_seed(c, f.seed, group);
  c.add_flag("--iterative", f.iterative, "Score again after each removal (with --data)")->group(group);
  c.add_flag("--keep-adapter", f.keep_adapter, "Write the adapter to OUT/adapter instead of merging it")->group(group);
}

void add_sweep(CLI::App& c, PruneFlags& f) {
  const std::string group = "Sweep";
  c.add_option("--sweep", f.sweep,
               "Measure what removing A to B layers costs, outside the region and anywhere, e.g. 0..4")
      ->type_name("A..B")
      ->group(group);
  f.held_out.add_to(c, group);
  add_max_tokens(c, f.max_tokens, 1, group);
  add_tokens_per_stream(c, f.tokens_per_stream, 1, group);
  c.add_option("--baseline", f.baseline,
               "Folder of a model with all layers tuned, to compare with; any of its layers may be removed")
      ->type_name("DIR")
      ->group(group);
  c.add_option("--baseline-adapter", f.baseline_adapter,
               "Folder of the baseline's adapter; without --baseline it is put on --model")
      ->type_name("DIR")
      ->group(group);
  c.add_option("--baseline-scores", f.baseline_scores,
               "Score file of the baseline, if --data does not measure its scores")
      ->type_name("FILE")
      ->group(group);
  c.add_option("--report", f.report, "HTML file for the curves")->type_name("FILE")->group(group);
  c.add_flag("--overwrite", f.overwrite, "Replace an existing HTML file")->group(group);
}

void add_compute(CLI::App& c, PruneFlags& f) {
  c.add_option("--device", f.compute.device, "Device that computes scores and sweeps: auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  c.add_option("--precision", f.compute.precision, "Precision of scores and sweeps: auto, fp32 or bf16")
      ->check(CLI::IsMember({"auto", "fp32", "bf16"}))
      ->capture_default_str();
}

}  // namespace

void PruneFlags::add_to(CLI::App& command) {
  model.add_to(command);
  add_choice(command, *this);
  output.add_to(command);
  command.get_option("--out")->required(false);
  add_sweep(command, *this);
  add_compute(command, *this);
  command.add_flag("--json", json, "Print one JSON object");
}

LayerChoice PruneFlags::choice() const {
  LayerChoice choice;
  choice.region = region;
  choice.metric = metric;
  choice.contiguous = contiguous;
  choice.spaced = spaced;
  choice.iterative = iterative;
  if (!scores.empty()) choice.scores = scores;
  if (!data.empty()) {
    choice.data.emplace();
    choice.data->data = existing_path("--data", data);
    choice.data->images = existing_path("--images", images);
    choice.data->max_tokens = max_tokens;
    choice.data->most_items = samples;
    choice.data->draw_seed = seed;
  }
  choice.tokens_per_stream = tokens_per_stream;
  choice.placement = compute.placement();
  return choice;
}

PruneRequest PruneFlags::prune_request(const CLI::App& command) const {
  refuse_flags_of_a_sweep(*this, command);
  refuse_data_beside_scores(*this, command);
  return {model.paths(), choice(), remove, layers, keep_adapter, output.request()};
}

SweepRequest PruneFlags::sweep_request(const CLI::App& command) const {
  refuse_flags_of_one_pruning(*this, command);
  refuse_data_beside_scores(*this, command);
  const std::size_t dots = sweep.find("..");
  if (dots == std::string::npos) {
    throw invalid_input(cat("--sweep ", sweep, " is not a range"), "write a range as in --sweep 0..4");
  }
  SweepRequest request;
  request.from = sweep_bound(sweep, sweep.substr(0, dots));
  request.to = sweep_bound(sweep, sweep.substr(dots + 2));
  request.model = model.paths();
  request.choice = choice();
  held_out.check();
  if (held_out.benchmark.empty()) {
    request.held_out.data = held_out.data_path();
    request.held_out.images = held_out.images_path(images);
  } else {
    request.benchmark.emplace();
    request.benchmark->name = held_out.benchmark;
    request.benchmark->protocol = held_out.protocol;
    request.benchmark->data = held_out.data_path();
    request.benchmark->images = held_out.images_path(images);
    request.benchmark->limit = held_out.samples;
  }
  request.held_out.max_tokens = max_tokens;
  request.held_out.most_items = held_out.samples;
  request.answer_tokens = held_out.max_tokens;
  request.baseline = baseline_paths(*this);
  if (!baseline_scores.empty()) request.baseline_scores = baseline_scores;
  if (!output.out.empty()) request.out = output.out;
  return request;
}

}  // namespace striate::app
