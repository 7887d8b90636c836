#include "striate/train/run_cost.h"

#include <algorithm>
#include <cmath>

#include "striate/base/error.h"

namespace striate {

RunCost run_cost(const RunShape& shape, const TrainingCost& cost) {
  if (!shape.steps && shape.samples == 0) {
    throw invalid_input("the length of the run is unknown: no data and no number of steps was given",
                        "give `data` FILE or `steps` N");
  }
  const double batch = shape.tokens_per_step > 0 ? static_cast<double>(shape.tokens_per_step) / shape.sample_tokens
                                                 : static_cast<double>(shape.batch);
  RunCost run;
  const double passed = shape.epochs * static_cast<double>(shape.samples);
  const auto estimated = static_cast<std::int64_t>(std::ceil(passed / batch - 1e-9));
  const bool counted = !shape.steps && shape.counted_steps;
  run.steps = counted ? *shape.counted_steps : shape.steps.value_or(std::max<std::int64_t>(1, estimated));
  // Steps of tokens are seldom full: where they were counted, the samples of the epochs tell what they hold together.
  const double seen = counted ? passed : static_cast<double>(run.steps) * batch;
  run.tokens = seen * shape.sample_tokens;
  const double all_images = seen * shape.sample_images;
  const double own_images = shape.samples == 0 ? all_images : static_cast<double>(shape.samples) * shape.sample_images;
  const double features = own_images * static_cast<double>(shape.image_bytes);
  const bool kept = shape.features_on_disk || features <= static_cast<double>(shape.feature_cache_bytes);
  run.tower_images = kept ? std::min(all_images, own_images) : all_images;
  if (shape.features_on_disk) {
    run.feature_bytes =
        static_cast<std::int64_t>(std::min(all_images, own_images) * static_cast<double>(shape.image_bytes));
  }
  constexpr std::int64_t kBytesOfOne = 12;  // value, mean and mean square
  run.checkpoint = kBytesOfOne * cost.parameters;
  const std::int64_t written = shape.save_every == 0 ? 1 : (run.steps + shape.save_every - 1) / shape.save_every;
  run.checkpoints = shape.keep == 0 ? written : std::min(written, shape.keep + 1);
  run.result_bytes = shape.result_bytes;
  return run;
}

}  // namespace striate
