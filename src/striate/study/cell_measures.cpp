// Measurements, and models made from tuned ones without training.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>

#include "striate/answers/metrics.h"
#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/edit/export_model.h"
#include "striate/edit/revert_model.h"
#include "striate/eval/answer_run.h"
#include "striate/eval/held_out_benchmark.h"
#include "striate/eval/layer_scoring.h"
#include "striate/eval/measured_model.h"
#include "striate/eval/prune_model.h"
#include "striate/model/picture_settings.h"
#include "striate/ranks/collective.h"
#include "striate/study/answering_cost.h"
#include "striate/study/asked_questions.h"
#include "striate/study/cell_work.h"
#include "striate/version.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kAnsweringMemory = 4'000'000'000;  // the same everywhere: how answers are batched hangs on it

json finite(double value) {
  return std::isfinite(value) ? json(value) : json();
}

EvaluationData loss_data(const CellWork& work, const LossDefinition& loss) {
  EvaluationData data;
  data.data = work.study.path(loss.data);
  data.images = work.study.path(loss.images);
  data.most_items = loss.samples;
  data.feature_cache_folder = work.study.feature_cache();
  data.threads = 1;
  return data;
}

// A model in memory, and what is measured of it.
class MeasuredModel {
 public:
  MeasuredModel(const CellWork& work, const ModelPaths& paths)
      : work_(work), source_(open_checkpoint(paths)), model_(load_model(source_, work.placement())) {
    tokenizer_ = load_tokenizer(source_.folder);
    conversation_ = work.conversation().value_or(default_template(source_.config.family));
  }

  const Checkpoint& source() const { return source_; }
  const std::shared_ptr<const Lvlm>& model() const { return model_; }

  json loss(const Lvlm& model, const LossDefinition& asked) const {
    EvaluationOptions options = data_for_model(loss_data(work_, asked), source_);
    options.conversation = conversation_;
    options.notes = work_.observer.notes;
    EvaluationSet set(*model_, *tokenizer_, options);
    AnswerOptions answers;
    answers.conversation = conversation_;
    answers.max_tokens = 0;
    answers.context = options.max_tokens;
    const std::unique_ptr<Collective> alone = join_ranks({}, model.placement().device);
    const EvaluationMetrics found = evaluate_held_out(model, tokenizer_, set, *alone, answers, work_.observer.progress);
    return {{"loss", finite(found.loss)}, {"error", finite(found.loss_error)}, {"targets", found.targets}};
  }

  EvaluationMetrics ask(const Lvlm& model, const BenchmarkDefinition& asked) const {
    HeldOutBenchmark request;
    request.name = asked.benchmark;
    request.data = work_.study.path(asked.data);
    request.images = work_.study.path(asked.images);
    request.protocol = asked.protocol;
    request.limit = asked.limit;
    BenchmarkAsking asking;
    asking.conversation = conversation_;
    if (source_.config.vision) asking.pixels = preprocess_config(source_.config, source_.folder);
    asking.feature_cache_folder = work_.study.feature_cache();
    asking.threads = 1;
    asking.notes = work_.observer.notes;
    return evaluate_benchmark(model, tokenizer_, open_held_out(request, source_.config), nullptr, asking);
  }

 private:
  const CellWork& work_;
  Checkpoint source_;
  std::shared_ptr<const Lvlm> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  TemplateKind conversation_;
};

// The layers to take out of the tuned model that a cell goes on from.
LayerChoice choice_of(const CellWork& work) {
  LayerChoice choice;
  choice.region = protected_layers(work);
  choice.metric = work.cell.metric;
  choice.spaced = work.cell.spaced;
  choice.scores = work.scores();
  choice.placement = work.placement();
  return choice;
}

// "removed-02".
std::string part_name(std::int64_t removed) {
  return cat("removed-", removed < 10 ? "0" : "", removed);
}

// Beside what is measured: times differ from run to run.
void write_cost(const fs::path& folder, const AnsweringCost& cost) {
  const json written = {{"prefill_tokens_per_second", cost.prefill_tokens_per_second},
                        {"decode_tokens_per_second", cost.decode_tokens_per_second},
                        {"weights", cost.weights}};
  write_file(OutputPath::inside(folder, "cost.json"), written.dump(2) + "\n");
}

void measure_part(const CellWork& work, const MeasuredModel& measured, const std::vector<PrunedLayer>& layers) {
  const LayerSet gone = layers_of(layers, measured.source().config.decoder.layers);
  const fs::path out = work.out() / part_name(gone.count());
  if (path_exists(out / "part.json")) return;
  AtomicFolder folder(out);
  const Lvlm pruned = measured.model()->without_layers(gone);
  json part = {{"layers", gone.numbers()}, {"losses", json::object()}};
  for (const LossDefinition& loss : work.study.definition.losses) {
    part["losses"][loss.name] = measured.loss(pruned, loss);
  }
  for (const BenchmarkDefinition& benchmark : work.study.definition.benchmarks) {
    if (benchmark.validation) continue;
    const EvaluationMetrics found = measured.ask(pruned, benchmark);
    write_file(OutputPath::inside(folder.path(), cat(benchmark.name, "/answers.jsonl")), held_out_lines(found.answers));
  }
  write_file(OutputPath::inside(folder.path(), "part.json"), part.dump(2) + "\n");
  write_cost(folder.path(), answering_cost(pruned, measured.source(), gone));
  folder.commit();
}

// The survivors beside each cut, by the numbers of before and of now.
json survivors_beside(const LayerSet& gone) {
  std::vector<std::int64_t> original, now;
  const LayerSet left = gone.complement();
  for (std::size_t i = 0; i < left.size(); ++i) {
    const bool below = i + 1 < left.size() && left[i + 1] != left[i] + 1;
    const bool above = i > 0 ? left[i - 1] != left[i] - 1 : left[i] > 0;
    const bool last = i + 1 == left.size() && left[i] + 1 < gone.depth();
    if (!below && !above && !last) continue;
    original.push_back(left[i]);
    now.push_back(static_cast<std::int64_t>(i));
  }
  return {{"original", original}, {"now", now}};
}

}  // namespace

std::string protected_layers(const CellWork& work) {
  if (work.cell.where == Removal::Where::kAnywhere) return "none";
  const ModelPaths paths = work.study.origin(work.cell);
  const LayerSet region(open_checkpoint(paths).config.decoder.layers, tuned_layers(work));
  const LayerSet stays = work.cell.where == Removal::Where::kOutside ? region : region.complement();
  if (stays.count() < stays.depth()) return stays.empty() ? std::string("none") : stays.list();
  throw invalid_input(cat(work.cell.id, ": every layer is in the region, and none lies outside"),
                      "such a model is pruned anywhere");
}

json score_layers_of(const CellWork& work) {
  LayerScoringRequest request;
  request.model = work.study.origin(work.cell);
  if (work.cell.subject) request.base = work.base();
  request.placement = work.placement();
  request.conversation = work.conversation();
  request.data.data = work.study.path(work.data().train);
  request.data.images = work.study.path(work.data().images);
  request.data.most_items = work.cell.samples;
  request.data.draw_seed = 234;
  request.data.feature_cache_folder = work.study.feature_cache();
  request.data.threads = 1;
  const ScoreFile scores = score_layers(request, Ranks{}, {work.observer.notes, work.observer.progress});
  AtomicFile file(OutputPath::inside(work.out(), "scores.json"));
  write_score_file(scores, file);
  return {{"samples", scores.samples}};
}

json ask_benchmark(const CellWork& work) {
  const BenchmarkDefinition& asked = work.study.definition.benchmarks[work.cell.measure.value()];
  AnswerRunRequest request;
  request.model = work.study.origin(work.cell);
  request.placement = work.placement();
  request.conversation = work.conversation();
  request.memory_budget = kAnsweringMemory;
  request.feature_cache_folder = work.study.feature_cache();
  request.data_threads = 1;
  request.benchmarks = {{asked.benchmark, work.study.path(asked.data), work.study.path(asked.images), asked.protocol}};
  request.limit = asked.limit;
  request.out = work.out();
  request.version = STRIATE_VERSION;
  AnswerRunObserver seen;
  seen.notes = work.observer.notes;
  seen.stop = &work.stop;
  if (work.observer.progress) {
    seen.progress = [&](const std::string&, std::int64_t done, std::int64_t total) {
      work.observer.progress(done, total);
    };
  }
  const AnswerRunResult result = run_answers(request, Ranks{}, seen);
  if (result.stop_reason != 0) return nullptr;
  const AskedQuestions questions(asked.benchmark, asked.protocol, work.study.path(asked.data), asked.limit);
  const AnswerFile answers = read_answers(work.out(), asked.benchmark);
  const ProtocolScore first = questions.score(answers);
  return {{"score", finite(first.headline.value)},
          {"metric", first.headline.name},
          {kQuestionMean, finite(mean_score(first.items))},
          {"questions", first.questions},
          {"seconds", result.benchmarks.front().seconds}};
}

json measure_loss(const CellWork& work) {
  const MeasuredModel measured(work, work.study.origin(work.cell));
  return measured.loss(*measured.model(), work.study.definition.losses[work.cell.measure.value()]);
}

json revert_layers_of(const CellWork& work) {
  RevertRequest request;
  request.model = work.study.origin(work.cell);
  request.base = work.base();
  request.layers = work.cell.layers;
  request.output.out = work.out();
  request.output.verify = false;
  return {{"layers", revert_model(request).layers.numbers()}};
}

json prune_in_memory(const CellWork& work) {
  const MeasuredModel measured(work, work.study.origin(work.cell));
  const LayerChoice choice = choice_of(work);
  const LayerSet stays = region_to_keep(choice, measured.source());
  const std::int64_t free = stays.depth() - stays.count();
  const LayerChooser chooser = make_chooser(choice, choice.scores, measured.source(), stays,
                                            std::min(work.cell.removed, free), [&] { return measured.model(); });
  const std::int64_t most = std::min({work.cell.removed, free, chooser.most});
  output_folder_inside(work.study.folder.root(), cat("cells/", work.cell.id));
  const LayerSet none(measured.source().config.decoder.layers, {});
  write_cost(work.out(), answering_cost(*measured.model(), measured.source(), none));
  for (std::int64_t removed = 1; removed <= most; ++removed) {
    if (work.stop.reason() != 0) return nullptr;
    if (work.observer.progress) work.observer.progress(removed - 1, most);
    measure_part(work, measured, chooser.choose(removed));
  }
  return {{"parts", most}};
}

json cut_layers(const CellWork& work) {
  OutputRequest output;
  output.out = work.out();
  output.verify = false;
  if (work.cell.removed == 0) {
    export_model({work.study.origin(work.cell), output});
    return {{"removed", json::array()}};
  }
  PruneRequest request;
  request.model = work.study.origin(work.cell);
  request.choice = choice_of(work);
  request.remove = work.cell.removed;
  request.output = output;
  const LayerSet gone = prune_model(request).gone();
  return {{"removed", gone.numbers()}, {"beside", survivors_beside(gone)}};
}

}  // namespace striate::study
