// striate prune --sweep: the cost of every layer that goes, inside and outside the region.
#include "striate/eval/prune_sweep.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "apps/striate/prune_flags.h"
#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/region/layer_set.h"

namespace striate::app {
namespace {

namespace fs = std::filesystem;

struct Bounds {
  std::int64_t from = 0, to = 0;
};

// "0..4".
Bounds parse_bounds(const std::string& text) {
  const auto number = [&](const std::string& digits) {
    const bool fine =
        !digits.empty() && digits.size() < 6 && digits.find_first_not_of("0123456789") == std::string::npos;
    if (!fine) throw invalid_input(cat("--sweep ", text, ": is no range of numbers"), "write --sweep 0..4");
    return std::stoll(digits);
  };
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) throw invalid_input(cat("--sweep ", text, ": is no range"), "write --sweep 0..4");
  const Bounds bounds{number(text.substr(0, dots)), number(text.substr(dots + 2))};
  if (bounds.from > bounds.to) throw invalid_input(cat("--sweep ", text, ": runs backwards"), "write --sweep 0..4");
  return bounds;
}

void check_flags(const PruneFlags& flags) {
  if (flags.remove || !flags.layers.empty() || flags.keep_adapter) {
    throw invalid_input("--sweep with --remove, --layers or --keep-adapter",
                        "a sweep measures and writes no model: leave them out, or prune once without --sweep");
  }
  if (flags.eval_data.empty()) {
    throw invalid_input("--sweep: nothing to measure on", "give held-out samples: --eval-data FILE --images DIR");
  }
  if (!flags.baseline_scores.empty() && flags.baseline.empty() && flags.baseline_adapter.empty()) {
    throw invalid_input("--baseline-scores without a baseline", "give --baseline DIR or --baseline-adapter DIR");
  }
}

ModelPaths baseline_paths(const PruneFlags& flags) {
  ModelPaths paths = flags.model.paths();
  if (!flags.baseline.empty()) {
    paths = {};
    paths.model = existing_path("--baseline", flags.baseline);
  }
  paths.adapter.reset();
  if (!flags.baseline_adapter.empty()) paths.adapter = existing_path("--baseline-adapter", flags.baseline_adapter);
  return paths;
}

// The models and choosers of the arms, which stay as long as the sweep.
class Arms {
 public:
  Arms(const PruneFlags& flags, const ModelPaths& paths, const Checkpoint& source, std::int64_t most)
      : flags_(flags), placement_(flags.compute.placement()) {
    model_ = load_model(source, placement_);
    const auto same = [this] { return model_; };
    const std::vector<std::int64_t> region = region_layers(flags, paths, source);
    if (!region.empty()) add("outside the region", model_, source, region, flags.scores, most, same);
    add("anywhere", model_, source, {}, flags.scores, most, same);
    if (flags.baseline.empty() && flags.baseline_adapter.empty()) return;
    const Checkpoint baseline = open_checkpoint(baseline_paths(flags));
    const std::shared_ptr<const Lvlm> other = load_model(baseline, placement_);
    add("baseline, anywhere", other, baseline, {}, flags.baseline_scores, most, [other] { return other; });
  }

  const std::vector<SweepArm>& arms() const { return arms_; }
  const Lvlm& model() const { return *model_; }
  const std::string& scores() const { return scores_; }

 private:
  void add(const std::string& name, std::shared_ptr<const Lvlm> model, const Checkpoint& source,
           const std::vector<std::int64_t>& region, const std::string& scores, std::int64_t most,
           const std::function<std::shared_ptr<const Lvlm>()>& load) {
    const std::int64_t layers = source.config.decoder.layers;
    const std::int64_t there = std::min({most, layers - 1, layers - static_cast<std::int64_t>(region.size())});
    LayerChooser chooser = make_chooser(flags_, source, region, scores, there, load);
    if (scores_.empty()) scores_ = chooser.scores;
    arms_.push_back({name, model.get(), region, std::move(chooser.choose)});
    models_.push_back(std::move(model));
  }

  const PruneFlags& flags_;
  Placement placement_;
  std::shared_ptr<const Lvlm> model_;
  std::vector<std::shared_ptr<const Lvlm>> models_;
  std::vector<SweepArm> arms_;
  std::string scores_;
};

std::string point_text(const SweepPoint& point) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(4) << point.held_out.loss;
  if (point.held_out.questions > 0)
    out << "  " << std::setprecision(1) << std::setw(5) << 100 * point.accuracy() << '%';
  const std::string layers = point.layers.empty() ? std::string("-") : layer_list_text(ascending_layers(point.layers));
  out << "  " << layers;
  return out.str();
}

void print_table(const PruneSweep& sweep) {
  std::cout << sweep.model << ": " << sweep.layers << " layers; " << sweep.metric << ", lowest first, from "
            << sweep.scores << "\nheld-out loss, exact answers and the layers that went; " << sweep.samples
            << " samples\n";
  for (const SweepCurve& curve : sweep.curves) {
    std::cout << '\n' << curve.name;
    if (!curve.protected_layers.empty()) {
      std::cout << "  " << stripes(curve.protected_layers, sweep.layers) << "  "
                << layer_list_text(curve.protected_layers) << " stay";
    }
    std::cout << '\n';
    for (const SweepPoint& point : curve.points) {
      std::cout << std::setw(4) << point.removed << "  " << point_text(point) << '\n';
    }
  }
  std::cout.flush();
}

std::string name_of(const PruneFlags& flags) {
  const std::string& model = flags.model.model.empty() ? flags.model.llm : flags.model.model;
  const std::string name = fs::absolute(model).lexically_normal().filename().string();
  return flags.model.adapter.empty() ? name : cat(name, " with ", fs::path(flags.model.adapter).filename().string());
}

}  // namespace

void run_prune_sweep(const PruneFlags& flags) {
  check_flags(flags);
  const Bounds bounds = parse_bounds(flags.sweep);
  const ModelPaths paths = flags.model.paths();
  const Checkpoint source = open_checkpoint(paths);
  if (bounds.to >= source.config.decoder.layers) {
    throw invalid_input(
        cat("--sweep ", flags.sweep, ": the decoder has ", source.config.decoder.layers, " layers, and one must stay"),
        cat("end at ", source.config.decoder.layers - 1, " at most"));
  }
  if (!flags.output.out.empty()) free_destination(flags.output.out);
  const Arms arms(flags, paths, source, bounds.to);
  const std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(source.folder);
  const EvaluationOptions data = held_out_data(flags, source);
  EvaluationSet set(arms.model(), *tokenizer, data);
  AnswerOptions answers;
  answers.conversation = data.conversation;
  answers.max_tokens = flags.eval_max_tokens;
  answers.context = flags.max_tokens + flags.eval_max_tokens;
  answers.tokens_per_stream = flags.tokens_per_stream;
  std::optional<Progress> bar;
  std::int64_t shown = 0;
  const SweepProgress progress = [&](std::int64_t done, std::int64_t total) {
    if (flags.json) return;
    if (!bar) bar.emplace("Sweeping", static_cast<std::uint64_t>(total), ProgressOptions::standard_error("models"));
    bar->advance(static_cast<std::uint64_t>(done - shown));
    shown = done;
  };
  PruneSweep sweep;
  sweep.curves = sweep_pruning(arms.arms(), bounds.from, bounds.to, tokenizer, set, answers, progress);
  if (bar) bar->finish();
  sweep.model = name_of(flags);
  sweep.metric = flags.metric;
  sweep.scores = arms.scores();
  sweep.layers = source.config.decoder.layers;
  sweep.samples = set.size();
  const std::string json = sweep_json(sweep).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (!flags.report.empty()) write_file(flags.report, sweep_report(sweep));
  if (!flags.output.out.empty()) {
    AtomicFolder folder(free_destination(flags.output.out));
    write_file(folder.path() / "sweep.json", json);
    write_file(folder.path() / "report.html", sweep_report(sweep));
    folder.commit();
  }
  flags.json ? void(std::cout << json << std::flush) : print_table(sweep);
}

}  // namespace striate::app
