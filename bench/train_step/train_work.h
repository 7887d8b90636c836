// The samples of bench/train_step, as run.py writes them for every program.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "striate/model/packed_batch.h"

namespace striate::bench {

// work.json: {"image_token", "image_tokens" (rows of a picture), "vision_hidden", "features" (a file of raw fp32,
// [samples, image_tokens, vision_hidden]), "samples": [{"ids", "labels"}]}. Throws InvalidInput when the feature file
// has another size.
class TrainWork {
 public:
  explicit TrainWork(const std::filesystem::path& file);

  // These samples as one stream, the pictures' rows in `dtype`.
  PackedBatch stream(const std::vector<std::size_t>& samples, at::ScalarType dtype) const;

 private:
  std::vector<Sample> samples_;
};

}  // namespace striate::bench
