// The stream that a run's samples are packed into, as planning sees it: one estimate, for `striate plan` and for a run
// that chooses how much of its activations to keep.
#pragma once

#include <cstdint>

#include "striate/data/data_sketch.h"
#include "striate/model/config.h"

namespace striate {

struct PlannedStream {
  std::int64_t tokens = 0;
  std::int64_t image_rows = 0;  // of the tokens
  std::int64_t targets = 0;     // positions that are learned
  std::int64_t samples = 1;
  std::int64_t longest = 0;  // tokens of the longest sample; 0: all are of equal length
};
// What a stream's longest sample has at least: its own figure, or the mean.
std::int64_t longest_sample(const PlannedStream& stream);

// Samples in numbers: means, and the tokens of the longest.
struct SampleMeans {
  double tokens = 0;  // image rows counted
  double targets = 0;
  double images = 0;
  std::int64_t longest = 0;
};
// Where nothing is known of the data: a picture (where the model sees and `picture` is true) and 192 tokens of text, 64
// of them learned.
SampleMeans usual_sample(const ModelConfig& config, bool picture = true);
// What a sketch found; the usual sample where none that it looked at is good.
SampleMeans sample_means(const DataSketch& sketch, const ModelConfig& config);

// What bounds a stream.
struct StreamLimits {
  std::int64_t tokens_per_stream = 0;
  std::int64_t batch = 0;            // samples a step, over all ranks; or
  std::int64_t tokens_per_step = 0;  // tokens a step, over all ranks
  std::int64_t ranks = 1;
};

// The largest stream of such samples: as long as the limits let it be (a step of samples that are all as long as the
// longest may be shorter), with the targets and pictures that so many tokens of average samples have.
PlannedStream planned_stream(const ModelConfig& config, const SampleMeans& sample, const StreamLimits& limits);
// How many of them a rank's step of average samples makes.
std::int64_t planned_streams(const PlannedStream& stream, const SampleMeans& sample, const StreamLimits& limits);

}  // namespace striate
