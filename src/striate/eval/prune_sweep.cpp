#include "striate/eval/prune_sweep.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"
#include "striate/eval/measured_model.h"
#include "striate/eval/sweep_report.h"
#include "striate/model/picture_settings.h"

namespace striate {
namespace {

constexpr const char* kAnswersFolder = "eval";

void check_sweep_request(const SweepRequest& r) {
  if (r.held_out.data.empty() && !r.benchmark) {
    throw invalid_input(
        "`sweep` needs held-out samples",
        "give them with `eval_data` FILE `images` DIR, or a benchmark with `eval_benchmark` NAME `eval_data` "
        "DIR");
  }
  if (r.baseline_scores && !r.baseline) {
    throw invalid_input("`baseline_scores` needs a baseline", "give `baseline` DIR or `baseline_adapter` DIR");
  }
  if (r.from < 0 || r.from > r.to) {
    throw invalid_input(cat("`sweep` ", r.from, "..", r.to, r.from < 0 ? " begins below 0" : " ends below its start"),
                        "write a range as in `sweep` 0..4");
  }
}

void check_sweep_depth(const SweepRequest& r, std::int64_t layers) {
  if (r.to < layers) return;
  throw invalid_input(cat("`sweep` ", r.from, "..", r.to, ": the decoder has ", layers, " layers, and one must stay"),
                      cat("end the range at ", layers - 1, " or below"));
}

// One way to choose layers, at every number of them.
struct SweepArm {
  std::string name;
  std::shared_ptr<const Lvlm> model;
  LayerSet protected_layers;
  std::int64_t most = 0;  // removed
  LayerChooser chooser;
};

SweepArm make_arm(const std::string& name, const SweepRequest& request, const Checkpoint& source,
                  const std::shared_ptr<const Lvlm>& model, const LayerSet& region,
                  const std::optional<std::filesystem::path>& scores) {
  const std::int64_t layers = region.depth();
  std::int64_t most = std::min({request.to, layers - 1, layers - region.count()});
  LayerChooser chooser = make_chooser(request.choice, scores, source, region, most, [model] { return model; });
  most = std::min(most, chooser.most);
  return {name, model, region, most, std::move(chooser)};
}

std::vector<SweepArm> make_arms(const SweepRequest& request, const Checkpoint& source,
                                const std::shared_ptr<const Lvlm>& model) {
  const LayerChoice& choice = request.choice;
  const LayerSet region = region_to_keep(choice, source);
  std::vector<SweepArm> arms;
  if (!region.empty()) arms.push_back(make_arm("outside the region", request, source, model, region, choice.scores));
  arms.push_back(make_arm("anywhere", request, source, model, {region.depth(), {}}, choice.scores));
  if (!request.baseline) return arms;
  const Checkpoint baseline = open_checkpoint(*request.baseline);
  const std::shared_ptr<const Lvlm> other = load_model(baseline, choice.placement);
  arms.push_back(make_arm("baseline, anywhere", request, baseline, other, {baseline.config.decoder.layers, {}},
                          request.baseline_scores));
  return arms;
}

// What held-out samples, or a benchmark's questions, say of a model.
class SweepJudge {
 public:
  SweepJudge(const SweepRequest& request, const Checkpoint& source, const Lvlm& model)
      : tokenizer_(load_tokenizer(source.folder)) {
    const TemplateKind conversation = default_template(source.config.family);
    if (request.benchmark) {
      benchmark_ = open_held_out(*request.benchmark, source.config);
      asking_.conversation = conversation;
      if (source.config.vision) asking_.pixels = preprocess_config(source.config, source.folder);
      asking_.feature_cache_folder = request.held_out.feature_cache_folder;
      return;
    }
    set_.emplace(model, *tokenizer_, data_for_model(request.held_out, source));
    answers_.conversation = conversation;
    answers_.max_tokens = request.answer_tokens;
    answers_.context = request.held_out.max_tokens + request.answer_tokens;
    answers_.tokens_per_stream = request.choice.tokens_per_stream;
  }

  EvaluationMetrics of(const Lvlm& model) {
    if (benchmark_) return evaluate_benchmark(model, tokenizer_, *benchmark_, nullptr, asking_);
    const std::unique_ptr<Collective> alone = join_ranks({}, model.placement().device);
    return evaluate_held_out(model, tokenizer_, *set_, *alone, answers_);
  }
  std::int64_t samples() const {
    return benchmark_ ? static_cast<std::int64_t>(benchmark_->questions.size()) : set_->size();
  }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<OpenedBenchmark> benchmark_;
  BenchmarkAsking asking_;
  std::optional<EvaluationSet> set_;
  AnswerOptions answers_;
};

// Evaluates models with layers removed, each combination once.
class SweepEvaluation {
 public:
  explicit SweepEvaluation(SweepJudge& judge) : judge_(judge) {}

  const EvaluationMetrics& of(const Lvlm& model, const LayerSet& removed) {
    const auto key = std::pair(&model, removed.numbers());
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    return known_.emplace(key, judge_.of(model.without_layers(removed))).first->second;
  }

 private:
  SweepJudge& judge_;
  std::map<std::pair<const Lvlm*, std::vector<std::int64_t>>, EvaluationMetrics> known_;
};

// "eval/outside-the-region-removed-02.jsonl".
std::string answers_name(const SweepCurve& curve, std::int64_t removed) {
  std::string name;
  for (const std::string& word : split(curve.name, ' ')) name += word.substr(0, word.find(',')) + "-";
  return cat(kAnswersFolder, "/", name, "removed-", removed < 10 ? "0" : "", removed, ".jsonl");
}

std::vector<SweepCurve> measure_curves(const SweepRequest& request, const std::vector<SweepArm>& arms,
                                       SweepEvaluation& evaluation, const SweepObserver& observer) {
  std::int64_t total = 0, done = 0;
  for (const SweepArm& arm : arms) total += std::max<std::int64_t>(0, arm.most - request.from + 1);
  std::vector<SweepCurve> curves;
  for (const SweepArm& arm : arms) {
    SweepCurve curve{arm.name, arm.protected_layers, {}};
    for (std::int64_t n = request.from; n <= arm.most; ++n) {
      if (observer.progress) observer.progress(done++, total);
      std::vector<PrunedLayer> layers = arm.chooser.choose(n);
      const LayerSet removed = layers_of(layers, arm.protected_layers.depth());
      curve.points.push_back({n, std::move(layers), evaluation.of(*arm.model, removed)});
      if (request.out) curve.points.back().answers = answers_name(curve, n);
      if (observer.evaluated) observer.evaluated(curve, curve.points.back());
    }
    curves.push_back(std::move(curve));
  }
  if (observer.progress) observer.progress(total, total);
  return curves;
}

void write_sweep_folder(AtomicFolder& folder, const SweepResult& sweep) {
  write_file(OutputPath::inside(folder.path(), "sweep.json"),
             sweep_json(sweep).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  write_file(OutputPath::inside(folder.path(), "report.html"), sweep_report(sweep));
  output_folder_inside(folder.path(), kAnswersFolder);
  for (const SweepCurve& curve : sweep.curves) {
    for (const SweepPoint& point : curve.points) {
      write_file(OutputPath::inside(folder.path(), point.answers), held_out_lines(point.held_out.answers));
    }
  }
  folder.commit();
}

}  // namespace

double SweepPoint::accuracy() const {
  if (held_out.questions == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(held_out.exact) / static_cast<double>(held_out.questions);
}

const BenchmarkScore* SweepResult::asked() const {
  for (const SweepCurve& curve : curves) {
    for (const SweepPoint& point : curve.points) {
      if (point.held_out.benchmark) return &*point.held_out.benchmark;
    }
  }
  return nullptr;
}

SweepResult sweep_pruning(const SweepRequest& request, const SweepObserver& observer) {
  check_sweep_request(request);
  const Checkpoint source = open_checkpoint(request.model);
  check_sweep_depth(request, source.config.decoder.layers);
  std::optional<AtomicFolder> folder;
  if (request.out) folder.emplace(free_destination(*request.out));
  const std::shared_ptr<const Lvlm> model = load_model(source, request.choice.placement);
  const std::vector<SweepArm> arms = make_arms(request, source, model);
  SweepJudge judge(request, source, *model);
  SweepEvaluation evaluation(judge);
  SweepResult sweep{.model = measured_name(source),
                    .metric = request.choice.metric,
                    .scores = arms.front().chooser.scores,
                    .layers = source.config.decoder.layers,
                    .samples = judge.samples(),
                    .curves = measure_curves(request, arms, evaluation, observer)};
  if (folder) write_sweep_folder(*folder, sweep);
  return sweep;
}

}  // namespace striate
