#include "striate/train/planned_stream.h"

#include <algorithm>
#include <cmath>

namespace striate {
namespace {

constexpr std::int64_t kUsualText = 192;  // tokens of a sample beside its picture
constexpr std::int64_t kUsualTargets = 64;

std::int64_t rounded(double count) {
  return static_cast<std::int64_t>(std::llround(count));
}

std::int64_t rows_of_picture(const ModelConfig& config) {
  return config.vision ? config.vision->tokens() : 0;
}

}  // namespace

std::int64_t longest_sample(const PlannedStream& stream) {
  const std::int64_t samples = std::max<std::int64_t>(1, stream.samples);
  const std::int64_t mean = (stream.tokens + samples - 1) / samples;
  return std::min(stream.tokens, std::max(mean, stream.longest));
}

SampleMeans usual_sample(const ModelConfig& config, bool picture) {
  const std::int64_t rows = picture ? rows_of_picture(config) : 0;
  const std::int64_t tokens = rows + kUsualText;
  return {static_cast<double>(tokens), static_cast<double>(kUsualTargets), rows > 0 ? 1.0 : 0.0, tokens};
}

SampleMeans sample_means(const DataSketch& sketch, const ModelConfig& config) {
  if (sketch.good() == 0) return usual_sample(config);
  return {sketch.tokens, sketch.targets, sketch.images, sketch.longest};
}

PlannedStream planned_stream(const ModelConfig& config, const SampleMeans& sample, const StreamLimits& limits) {
  const std::int64_t step = limits.tokens_per_step > 0 ? limits.tokens_per_step : limits.batch * sample.longest;
  const std::int64_t share = (step + limits.ranks - 1) / limits.ranks;
  const double tokens = std::max(sample.tokens, static_cast<double>(std::min(share, limits.tokens_per_stream)));
  const double samples = std::floor(tokens / sample.tokens);
  PlannedStream stream;
  stream.tokens = rounded(tokens);
  stream.samples = rounded(samples);
  stream.image_rows = std::min(stream.tokens, rounded(samples * sample.images) * rows_of_picture(config));
  stream.targets = std::max<std::int64_t>(1, rounded(samples * sample.targets));
  stream.longest = std::min(sample.longest, stream.tokens);
  return stream;
}

std::int64_t planned_streams(const PlannedStream& stream, const SampleMeans& sample, const StreamLimits& limits) {
  const double step = limits.tokens_per_step > 0 ? static_cast<double>(limits.tokens_per_step)
                                                 : static_cast<double>(limits.batch) * sample.tokens;
  const double tokens = static_cast<double>(stream.samples) * sample.tokens;
  const double streams = std::ceil(step / static_cast<double>(limits.ranks) / tokens - 1e-9);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(streams));
}

}  // namespace striate
