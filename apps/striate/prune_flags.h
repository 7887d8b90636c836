// What `striate prune` is asked for, and what pruning once and a sweep share.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/striate/export_flags.h"
#include "apps/striate/model_flags.h"
#include "striate/data/evaluation_set.h"
#include "striate/region/prune_choice.h"

namespace striate::app {

struct PruneFlags {
  ModelFlags model;
  OutputFlags output;
  ComputeFlags compute;  // of scoring and sweeping
  std::string region = "from-run", metric = "angular", layers, scores;
  std::string data, images, eval_data, eval_images, sweep, report, baseline, baseline_adapter, baseline_scores;
  std::optional<std::int64_t> remove;
  std::int64_t samples = 200, eval_samples = 0, eval_max_tokens = 32, max_tokens = 2048, tokens_per_stream = 8192;
  std::uint64_t seed = 234;
  bool contiguous = false, iterative = false, keep_adapter = false, json = false;
};

// The layers that must stay: --region as a layer set, `none`, or `from-run`: what the adapter's or the model's folder
// records. Throws InvalidInput.
std::vector<std::int64_t> region_layers(const PruneFlags& flags, const ModelPaths& paths, const Checkpoint& source);

// How layers are chosen for one model: from a score file, or by scores measured on --data.
struct LayerChooser {
  std::function<std::vector<PrunedLayer>(std::int64_t n)> choose;
  std::string scores;  // where they come from, for people
};
// `scores` is a score file, or empty. `most` is the largest n there will be. Whatever it needs of `model` (loaded with
// `load` when it must be measured) lives as long as the chooser.
LayerChooser make_chooser(const PruneFlags& flags, const Checkpoint& source,
                          const std::vector<std::int64_t>& protected_layers, const std::string& scores,
                          std::int64_t most, const std::function<std::shared_ptr<const Lvlm>()>& load);

// --data and its limits, for scoring; --eval-data for a sweep. Template and preprocessing are the model's.
EvaluationOptions scoring_data(const PruneFlags& flags, const Checkpoint& source);
EvaluationOptions held_out_data(const PruneFlags& flags, const Checkpoint& source);

// striate prune --sweep.
void run_prune_sweep(const PruneFlags& flags);

}  // namespace striate::app
