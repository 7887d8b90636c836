// Scoring a model's layers: the run over a data set, shared by ranks, and over the weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "striate/eval/evaluation_set.h"
#include "striate/model/load.h"
#include "striate/ranks/collective.h"
#include "striate/ranks/ranks.h"
#include "striate/region/layer_scores.h"

namespace striate {

// How far scoring is; called on every rank, with the samples it has done and has to do.
using ScoringProgress = std::function<void(std::int64_t done, std::int64_t total)>;

// Scores `model` on every item of `set`, the ranks sharing them: packed into streams of at most `tokens_per_stream`
// tokens (a longer sample is a stream of its own), in one pass over the data. Every rank returns the scores of all.
LayerScoreCollector score_samples(const Lvlm& model, EvaluationSet& set, Collective& ranks,
                                  const LayerScoreOptions& options, std::int64_t tokens_per_stream,
                                  const ScoringProgress& progress = {});

struct LayerScoringRequest {
  ModelPaths model;
  std::optional<std::filesystem::path> base;  // what it was tuned from: adds what tuning changed
  Placement placement;
  std::optional<std::filesystem::path> tokenizer;  // default: the model's folder
  std::optional<TemplateKind> conversation;        // default: the model's
  EvaluationData data;                             // `data` empty: weights alone, for which `base` must be given
  LayerScoreOptions scores;
  // The region that settings name and the report marks: a layer set; "from-run", what is recorded for the adapter or
  // the model (none where nothing is); or "none".
  std::string region = "from-run";
  std::int64_t tokens_per_stream = 8192;
};

// What happens meanwhile, on every rank.
struct ScoringObserver {
  Notes notes;
  ScoringProgress progress;
};

// Runs it. Every rank returns the same scores; settings say how they were measured. Throws InvalidInput for requests
// that make no sense and bad samples, before any weight is read, and what loading, data and ranks throw.
ScoreFile score_layers(const LayerScoringRequest& request, const Ranks& ranks, const ScoringObserver& observer = {});

}  // namespace striate
