#include "tests/study/small_study.h"

#include <algorithm>
#include <cmath>

#include "striate/base/random.h"
#include "striate/base/strings.h"

namespace striate::study::test {
namespace {

constexpr std::int64_t kLayers = 8;
constexpr std::size_t kQuestions = 100;

StudiedBenchmark small_benchmark(const std::string& name, Sense sense) {
  StudiedBenchmark benchmark{.name = name, .protocol = "exact", .sense = sense};
  for (std::size_t i = 0; i < kQuestions; ++i) {
    const std::string kind = sense == Sense::kText ? "" : i % 2 == 0 ? "color" : "count";
    const std::string picture = sense == Sense::kText ? "" : cat("pictures/", i / 2, ".png");
    benchmark.questions.push_back(
        {cat(name, "-", i), kind, cat("question ", i, "?"), cat("answer ", i), picture, picture});
  }
  return benchmark;
}

// Questions 0 to n are right, begun at a place that the seed moves a little.
BenchmarkAnswers small_answers(const StudiedBenchmark& benchmark, double share, std::uint64_t seed) {
  const auto right = static_cast<std::size_t>(std::lround(share * static_cast<double>(kQuestions)));
  BenchmarkAnswers answers{.score = 100 * share, .questions = std::vector<double>(kQuestions, 0.0)};
  for (std::size_t i = 0; i < right; ++i) answers.questions[(i + seed) % kQuestions] = 1;
  for (std::size_t i = 0; i < kQuestions; ++i) {
    answers.answers.push_back(answers.questions[i] == 1 ? benchmark.questions[i].reference : "wrong");
  }
  return answers;
}

}  // namespace

Tuning small_tuning(const std::string& strategy, std::vector<std::int64_t> layers, std::uint64_t seed) {
  return {.strategy = strategy,
          .layers_text = strategy == "all" ? "all" : cat(strategy, ":", layers.size()),
          .layers = std::move(layers),
          .modules = "all",
          .learning_rate = 0.002,
          .seed = seed};
}

StudiedModel small_model(const StudyResults& study, const std::string& cell, Treatment treatment,
                         const SmallScores& scores, std::uint64_t seed) {
  StudiedModel model{.cell = cell, .part = "", .model = "mini", .data = "scenes", .treatment = treatment};
  model.benchmarks["see"] = small_answers(study.benchmarks[0], scores.visual, seed);
  model.benchmarks["facts"] = small_answers(study.benchmarks[1], scores.text, seed);
  model.losses["held-out scenes"] = {Sense::kVisual, 1 - scores.visual};
  model.losses["held-out texts"] = {Sense::kText, 1 - scores.text};
  return model;
}

StudyResults small_study(const std::function<SmallScores(const std::string& strategy, std::uint64_t seed)>& scores) {
  StudyResults study{.name = "small",
                     .description = "Numbers made by hand.",
                     .reference = "",
                     .machine = "two cores",
                     .version = "1.2.3",
                     .lvlms = {{"mini", kLayers, 3'000'000}},
                     .benchmarks = {small_benchmark("see", Sense::kVisual), small_benchmark("facts", Sense::kText)}};
  study.models.push_back(small_model(study, "base", Treatment::kBase, scores("base", 0), 0));
  study.models.push_back(small_model(study, "align", Treatment::kAligned, scores("aligned", 0), 0));
  const std::vector<std::pair<std::string, std::vector<std::int64_t>>> strategies = {{"all", {0, 1, 2, 3, 4, 5, 6, 7}},
                                                                                     {"uniform", {0, 4}},
                                                                                     {"bottom", {0, 1}},
                                                                                     {"top", {6, 7}},
                                                                                     {"random", {2, 5}},
                                                                                     {"random", {1, 6}}};
  for (std::size_t i = 0; i < strategies.size(); ++i) {
    const auto& [strategy, layers] = strategies[i];
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      StudiedModel model = small_model(study, cat("tune-", strategy, "-", i, "-", seed), Treatment::kTuned,
                                       scores(strategy, seed), seed);
      model.tuning = small_tuning(strategy, layers, seed);
      model.tuning->draw = i == 5 ? 1 : 0;
      const double share = static_cast<double>(layers.size()) / kLayers;
      model.taken = RunTaken{.seconds = 80 + 20 * share + static_cast<double>(seed),
                             .processor_seconds = 100 + 30 * share,
                             .step_seconds = 0.1,
                             .steps = 500,
                             .tokens = 1'000'000,
                             .trained_parameters = static_cast<std::int64_t>(40'000 * layers.size()),
                             .peak_memory = 300'000'000};
      for (std::int64_t step = 1; step <= 40; ++step)
        model.curve.push_back({step, 2.0 / std::sqrt(static_cast<double>(step))});
      if (seed == 1) model.layer_scores["angular"] = {0.4, 0.1, 0.1, 0.05, 0.2, 0.1, 0.1, 0.3};
      study.models.push_back(std::move(model));
    }
  }
  study.cells = study.finished = static_cast<std::int64_t>(study.models.size());
  return study;
}

StudyResults small_study() {
  return small_study([](const std::string& strategy, std::uint64_t) -> SmallScores {
    if (strategy == "base") return {0.1, 0.9};
    if (strategy == "aligned") return {0.3, 0.9};
    if (strategy == "all") return {0.8, 0.6};
    if (strategy == "uniform") return {0.8, 0.8};
    if (strategy == "bottom") return {0.6, 0.8};
    if (strategy == "top") return {0.5, 0.85};
    return {0.7, 0.8};
  });
}

StudiedModel at_another_rate(const StudyResults& study) {
  StudiedModel model = study.models[5];  // uniform, seed 1
  model.cell = "other rate";
  model.tuning->learning_rate = 0.0001;
  return model;
}

namespace {

constexpr const char* kHostileAnswer =
    "<img src=x onerror=\"parent.hacked = 1\"></article><script>parent.hacked = 1</script>";

// Everything that begins as the tuned model of `like`'s seed does.
StudiedModel made_from(const StudiedModel& like, const std::string& part, Treatment treatment) {
  StudiedModel model = like;
  model.part = part;
  model.treatment = treatment;
  model.curve.clear();
  model.taken.reset();
  model.layer_scores.clear();
  return model;
}

void lose(const StudyResults& study, StudiedModel& model, double visual, double text, std::uint64_t seed) {
  const double see = std::max(0.0, model.benchmarks["see"].score / 100 - visual);
  const double facts = std::max(0.0, model.benchmarks["facts"].score / 100 - text);
  const StudiedModel scored = small_model(study, "", model.treatment, {see, facts}, seed);
  model.benchmarks = scored.benchmarks;
  model.losses = scored.losses;
}

// Another point on the axes, for every seed of the tuned models of `strategy`.
void add_point(StudyResults& study, const std::string& strategy, const std::string& part, double loss,
               const std::function<void(Tuning&)>& change) {
  const std::vector<StudiedModel> before = study.models;
  for (const StudiedModel& model : before) {
    if (!model.tuning || model.tuning->strategy != strategy || !model.part.empty()) continue;
    StudiedModel other = model;
    other.part = part;
    change(*other.tuning);
    lose(study, other, loss, loss / 2, model.tuning->seed);
    study.models.push_back(std::move(other));
  }
}

void add_pruned_and_healed(StudyResults& study) {
  const std::vector<StudiedModel> before = study.models;
  for (const StudiedModel& model : before) {
    if (!model.tuning || !model.part.empty()) continue;
    const bool all = model.tuning->strategy == "all";
    if (!all && model.tuning->strategy != "uniform") continue;
    for (const char* metric : {"angular", "bi"}) {
      for (const auto where : {Removal::Where::kOutside, Removal::Where::kInside, Removal::Where::kAnywhere}) {
        if (all && where != Removal::Where::kAnywhere) continue;
        for (std::int64_t k = 1; k <= 2; ++k) {
          StudiedModel pruned = made_from(model, cat(metric, "-", name(where), "-", k), Treatment::kPruned);
          pruned.removal = Removal{{k, 5}, metric, where, false};
          if (k == 1) pruned.removal->layers.pop_back();
          lose(study, pruned, (where == Removal::Where::kOutside ? 0.02 : 0.08) * static_cast<double>(k), 0.02, 0);
          pruned.answering =
              AnsweringCost{1000.0 + 50 * static_cast<double>(k), 30.0 + static_cast<double>(k), 12'000'000};
          study.models.push_back(std::move(pruned));
        }
      }
    }
    StudiedModel healed = made_from(model, "healed", Treatment::kHealed);
    healed.removal = Removal{{1, 5}, "angular", all ? Removal::Where::kAnywhere : Removal::Where::kOutside, false};
    healed.healing = Healing{"beside-cuts", false};
    StudiedModel alike = made_from(model, "unpruned healed", Treatment::kHealed);
    alike.healing = Healing{"beside-cuts", true};
    StudiedModel reverted = made_from(model, "reverted", Treatment::kReverted);
    reverted.reverted = {model.tuning->layers.back()};
    for (StudiedModel* one : {&healed, &alike, &reverted}) study.models.push_back(std::move(*one));
  }
}

}  // namespace

StudyResults rich_study() {
  StudyResults study = small_study();
  for (std::size_t i = 0; i < 100; i += 7) {
    study.models[2].benchmarks["see"].answers[i] = kHostileAnswer;
    study.benchmarks[0].questions[i].text = cat("is <b>this</b> bold? ", std::string(200, 'w'));
  }
  add_point(study, "uniform", "one", 0.2, [](Tuning& t) { t.layers = {0}; });
  add_point(study, "uniform", "four", -0.01, [](Tuning& t) { t.layers = {0, 2, 4, 6}; });
  add_point(study, "uniform", "offset", 0.03, [](Tuning& t) { t.offset = 1, t.layers = {1, 5}; });
  add_point(study, "uniform", "attention", 0.1, [](Tuning& t) { t.modules = "attention"; });
  for (const char* strategy : {"uniform", "all"}) {
    add_point(study, strategy, "quarter of data", 0.05, [](Tuning& t) { t.data_fraction = 0.25; });
    add_point(study, strategy, "tenth of data", 0.1, [](Tuning& t) { t.data_fraction = 0.1; });
  }
  add_point(study, "all", "rate", 0.1, [](Tuning& t) {
    t.learning_rate = 0.01;
    t.trial = true;
  });
  add_pruned_and_healed(study);
  study.cells = static_cast<std::int64_t>(study.models.size()) + 3;
  study.finished = study.cells - 3;
  study.failed.push_back({"tune-top-9", "the loss is not finite <b>"});
  return study;
}

}  // namespace striate::study::test
