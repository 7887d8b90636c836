// How much a model loses with every layer that is removed, inside and outside its region: the paper's curve (arXiv
// 2412.12785, section 5).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/data/evaluation_set.h"
#include "striate/region/prune_choice.h"
#include "striate/train/evaluation.h"

namespace striate {

// One way to choose layers, at every number of them.
struct SweepArm {
  std::string name;                            // "outside the region"
  const Lvlm* model = nullptr;                 // the whole one
  std::vector<std::int64_t> protected_layers;  // never removed; empty: any may go
  // The `n` layers that go.
  std::function<std::vector<PrunedLayer>(std::int64_t n)> choose;
};

struct SweepPoint {
  std::int64_t removed = 0;
  std::vector<PrunedLayer> layers;  // the lowest score first
  EvaluationMetrics held_out;

  // Share of the questions answered exactly; NaN without questions.
  double accuracy() const;
};

struct SweepCurve {
  std::string name;
  std::vector<std::int64_t> protected_layers;
  std::vector<SweepPoint> points;  // ascending in `removed`
};

// What a report says beside the curves.
struct PruneSweep {
  std::string model;
  std::string metric;
  std::string scores;  // where they come from
  std::int64_t layers = 0;
  std::int64_t samples = 0;  // held out
  std::vector<SweepCurve> curves;
};

// Called before each evaluation: how many there have been, and how many there will be at most.
using SweepProgress = std::function<void(std::int64_t done, std::int64_t total)>;

// Evaluates every arm on the held-out samples with `from` to `to` layers removed, in memory. What two arms have in
// common (the same layers of the same model) is evaluated once. An arm ends early where it runs out of layers: `to` is
// cut for it to what may go. `set` is that of the first arm's model, whose vision tower the others share.
std::vector<SweepCurve> sweep_pruning(const std::vector<SweepArm>& arms, std::int64_t from, std::int64_t to,
                                      const std::shared_ptr<const Tokenizer>& tokenizer, EvaluationSet& set,
                                      const AnswerOptions& answers, const SweepProgress& progress = {});

// sweep.json.
nlohmann::json sweep_json(const PruneSweep& sweep);
// A page with the two curves, held-out loss and exact answers, and their numbers as a table.
std::string sweep_report(const PruneSweep& sweep);

}  // namespace striate
