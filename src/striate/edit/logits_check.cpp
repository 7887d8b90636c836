#include "striate/edit/logits_check.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/stack.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

// Steps through the vocabulary by the golden ratio, so that short sequences reach all of it.
std::vector<std::int64_t> spread_tokens(std::int64_t first, std::int64_t count, std::int64_t vocabulary) {
  constexpr double kGolden = 0.6180339887498949;
  std::vector<std::int64_t> ids;
  for (std::int64_t i = first; i < first + count; ++i) {
    const double share = std::fmod(static_cast<double>(i) * kGolden, 1.0);
    ids.push_back(static_cast<std::int64_t>(share * static_cast<double>(vocabulary)));
  }
  return ids;
}

// Waves of another direction and length in every channel: nothing in it is flat. [1, channels, S, S]
at::Tensor generated_picture(const VisionConfig& vision) {
  const at::Tensor line = at::arange(vision.image_size, at::TensorOptions(at::kFloat));
  std::vector<at::Tensor> channels;
  for (std::int64_t c = 0; c < vision.channels; ++c) {
    const double pitch = 0.05 * static_cast<double>(c + 1);
    channels.push_back(at::sin(line * pitch).unsqueeze(0) + at::cos(line * (0.11 - pitch / 3)).unsqueeze(1));
  }
  return at::stack(channels).unsqueeze(0);
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g%%", 100 * share);
  return text;
}

}  // namespace

std::vector<ProbeInput> probe_inputs(const ModelConfig& config) {
  const std::int64_t vocabulary = config.decoder.vocab_size;
  std::vector<ProbeInput> inputs;
  std::int64_t first = 1;
  for (const std::int64_t count : {1, 12, 40}) {
    inputs.push_back({counted(count, "token"), spread_tokens(first, count, vocabulary), {}});
    first += count;
  }
  if (config.vision) {
    ProbeInput seen{"a picture between tokens", spread_tokens(first, 16, vocabulary),
                    generated_picture(*config.vision)};
    seen.token_ids[4] = kImageToken;
    inputs.push_back(std::move(seen));
  }
  return inputs;
}

std::vector<at::Tensor> probe_logits(const Lvlm& model, const std::vector<ProbeInput>& inputs) {
  std::vector<at::Tensor> logits;
  for (const ProbeInput& input : inputs) {
    Sample sample;
    sample.input_ids = input.token_ids;
    if (input.pixels.defined()) {
      sample.images = {model.vision_features(input.pixels.to(model.placement().device)).squeeze(0)};
    }
    logits.push_back(model.logits(model.forward(pack(std::span(&sample, 1)))).cpu());
  }
  return logits;
}

std::vector<at::Tensor> probe_logits(const Checkpoint& checkpoint, const std::vector<ProbeInput>& inputs) {
  return probe_logits(*load_model(checkpoint, Placement{at::kCPU, Compute::kFloat32}), inputs);
}

LogitsDifference compare_logits(const std::vector<ProbeInput>& inputs, const std::vector<at::Tensor>& reference,
                                const std::vector<at::Tensor>& other) {
  LogitsDifference result;
  if (inputs.size() != reference.size() || inputs.size() != other.size()) {
    throw internal_error(cat("logits of ", reference.size(), " and ", other.size(), " inputs of ", inputs.size()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const at::Tensor& a = reference[i];
    const at::Tensor& b = other[i];
    if (a.sizes() != b.sizes()) throw internal_error(cat("logits ", a.sizes(), " and ", b.sizes()));
    const bool finite = a.isfinite().all().item<bool>() && b.isfinite().all().item<bool>();
    const double largest = finite ? (a - b).abs().max().item<double>() : std::numeric_limits<double>::infinity();
    if (largest >= result.largest) {
      result.largest = largest;
      result.input = inputs[i].name;
    }
    if (finite) result.largest_logit = std::max(result.largest_logit, a.abs().max().item<double>());
    result.positions += a.size(0);
    result.same_token += a.argmax(1).eq(b.argmax(1)).sum().item<std::int64_t>();
  }
  return result;
}

double logits_tolerance(double rounding, std::int64_t layers) {
  constexpr double kSameWeights = 1e-5;
  constexpr double kSafety = 4;
  const auto products = static_cast<double>(4 * layers + 8);
  return kSameWeights + kSafety * rounding / std::sqrt(3.0) * std::sqrt(products);
}

void require_same_logits(const LogitsDifference& difference, double tolerance, const std::string& what) {
  if (difference.relative() <= tolerance) return;
  throw resource_error(
      cat(what, ": its logits differ from the source's by ", difference.largest, ", ", percent(difference.relative()),
          " of the largest (", difference.input, "); ", percent(tolerance), " is allowed"),
      "nothing was written; `no_verify` writes it anyway");
}

}  // namespace striate
