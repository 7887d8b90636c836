// The cost of a whole run besides memory: steps, operations and disk.
#pragma once

#include <cstdint>
#include <optional>

#include "striate/train/plan.h"

namespace striate {

// A run in numbers; the means are of its samples.
struct RunShape {
  std::int64_t samples = 0;  // in the data; 0: not known
  double epochs = 1;
  std::optional<std::int64_t> steps;  // instead of epochs
  // Of these epochs, as training counts them; absent: they are estimated.
  std::optional<std::int64_t> counted_steps;
  std::int64_t batch = 0;            // samples a step; or
  std::int64_t tokens_per_step = 0;  // tokens a step
  double sample_tokens = 0;          // image rows counted
  double sample_images = 0;
  std::int64_t image_bytes = 0;          // of a picture's features
  std::int64_t feature_cache_bytes = 0;  // memory for them
  bool features_on_disk = false;         // a folder keeps all of them
  std::int64_t save_every = 0;           // steps; 0: at the end alone
  std::int64_t keep = 0;                 // checkpoints; 0: all
  std::int64_t result_bytes = 0;         // the adapter, the projector or the model that is written at the end
};

struct RunCost {
  std::int64_t steps = 0;
  double tokens = 0;             // of all steps
  double tower_images = 0;       // pictures that the vision tower looks at
  std::int64_t checkpoint = 0;   // bytes of one
  std::int64_t checkpoints = 0;  // how many lie on the disk at most
  std::int64_t result_bytes = 0;
  std::int64_t feature_bytes = 0;  // in the folder of features

  std::int64_t disk() const { return checkpoint * checkpoints + result_bytes + feature_bytes; }
};

// As training counts: epochs go on from one into the next, the end of the last is rounded up; a checkpoint is fp32
// values and two moments of what is trained, and the old one goes when the new one is whole. Every sample is taken to
// have pictures of its own. Throws InvalidInput when neither steps nor the data say how long the run is.
RunCost run_cost(const RunShape& shape, const TrainingCost& cost);

}  // namespace striate
