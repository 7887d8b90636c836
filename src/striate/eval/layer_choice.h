// Which layers of a model pruning removes, as a request asks for them: by a score file, or by scores measured on data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/eval/evaluation_set.h"
#include "striate/model/load.h"
#include "striate/region/prune_choice.h"

namespace striate {

struct LayerChoice {
  // The layers that stay: a layer set; "from-run", the region recorded for the adapter or the model; or "none", which
  // lets any layer go.
  std::string region = "from-run";
  std::string metric = "angular";
  bool contiguous = false;                      // one block of neighbouring layers
  bool spaced = false;                          // no two neighbours
  bool iterative = false;                       // scores are measured again after each layer; only with `data`
  std::optional<std::filesystem::path> scores;  // a score file
  std::optional<EvaluationData> data;           // without `scores`: the samples to measure them on
  std::int64_t tokens_per_stream = 8192;        // of what is computed on samples
  Placement placement;                          // likewise
};

// The layers that must stay. Throws InvalidInput where LayerChoice::region is "from-run" and none is recorded.
LayerSet region_to_keep(const LayerChoice& choice, const Checkpoint& source);

// Chooses layers of one model, at every number of them.
struct LayerChooser {
  std::function<std::vector<PrunedLayer>(std::int64_t n)> choose;
  std::string scores;     // where they come from, for people
  std::int64_t most = 0;  // the largest n, where more layers cannot be chosen
};

// A chooser for `source`; `scores` is its score file (a second model has its own), `most` the largest n that there
// will be. Where scores are to be measured, `load` gives the model, which lives as long as the chooser.
// Throws InvalidInput without scores and data, and what reading or measuring them throws.
LayerChooser make_chooser(const LayerChoice& choice, const std::optional<std::filesystem::path>& scores,
                          const Checkpoint& source, const LayerSet& protected_layers, std::int64_t most,
                          const std::function<std::shared_ptr<const Lvlm>()>& load);

}  // namespace striate
