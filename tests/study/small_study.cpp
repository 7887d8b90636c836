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
  StudiedBenchmark benchmark{name, "exact", sense, {}};
  for (std::size_t i = 0; i < kQuestions; ++i) {
    const std::string kind = sense == Sense::kText ? "" : i % 2 == 0 ? "color" : "count";
    const std::string picture = sense == Sense::kText ? "" : cat("pictures/", i / 2, ".png");
    benchmark.questions.push_back({cat(name, "-", i), kind, cat("question ", i, "?"), cat("answer ", i), picture});
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

}  // namespace striate::study::test
