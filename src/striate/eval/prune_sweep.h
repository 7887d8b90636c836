// How much a model loses with each removed layer, outside its region and anywhere: the paper's curve (arXiv
// 2412.12785, section 5).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "striate/eval/held_out.h"
#include "striate/eval/held_out_benchmark.h"
#include "striate/eval/layer_choice.h"

namespace striate {

struct SweepRequest {
  ModelPaths model;
  LayerChoice choice;                         // its region gives the first curve; without one there is only "anywhere"
  std::int64_t from = 0, to = 0;              // numbers of removed layers
  EvaluationData held_out;                    // samples to evaluate on
  std::optional<HeldOutBenchmark> benchmark;  // whose questions are asked instead
  std::int64_t answer_tokens = 32;            // of an answer, at most
  // A model to compare with, of which any layer may go, and its score file where `choice` measures none.
  std::optional<ModelPaths> baseline;
  std::optional<std::filesystem::path> baseline_scores;
  // A folder to make, of sweep.json, report.html and the answers of every model (eval/anywhere-removed-02.jsonl);
  // absent: none is written.
  std::optional<std::filesystem::path> out;
};

struct SweepPoint {
  std::int64_t removed = 0;
  std::vector<PrunedLayer> layers;  // the lowest score first
  EvaluationMetrics held_out;
  std::string answers{};  // the file of its answers in the folder; empty: none was asked for

  // Share of the questions answered exactly; NaN without questions.
  double accuracy() const;
};

struct SweepCurve {
  std::string name;  // "outside the region"
  LayerSet protected_layers;
  std::vector<SweepPoint> points;  // ascending in `removed`
};

struct SweepResult {
  std::string model;  // its name, for people
  std::string metric;
  std::string scores;  // where they come from
  std::int64_t layers = 0;
  std::int64_t samples = 0;  // held out, or questions of the benchmark
  std::vector<SweepCurve> curves;

  // What the first model made of the benchmark that was asked; nullptr: samples were held out.
  const BenchmarkScore* asked() const;
};

// What happens meanwhile; each may be empty.
struct SweepObserver {
  // Before each evaluation: how many there have been, and how many there will be at most.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  // After each. What another curve had in common is not evaluated, but named all the same.
  std::function<void(const SweepCurve& curve, const SweepPoint& point)> evaluated;
};

// Evaluates each curve on the held-out samples with `from` to `to` layers removed, in memory. What two curves have in
// common (the same layers of the same model) is evaluated once. A curve ends early where no more layers may go. The
// baseline's answers are asked with the first model's tokenizer, pictures and template.
// Throws InvalidInput for a request that makes no sense, and what choosing layers and evaluating throw.
SweepResult sweep_pruning(const SweepRequest& request, const SweepObserver& observer = {});

}  // namespace striate
