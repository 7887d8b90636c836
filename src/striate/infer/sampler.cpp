#include "striate/infer/sampler.h"

#include <ATen/ops/argmax.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

struct Candidate {
  float logit;
  std::int64_t id;
};

// More likely first; equal ones by id, so that the order never depends on the sort.
bool before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

void penalise(float* logits, std::int64_t size, std::vector<std::int64_t> seen, double penalty) {
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  for (const std::int64_t id : seen) {
    if (id < 0 || id >= size) continue;
    logits[id] = static_cast<float>(logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty);
  }
}

}  // namespace

void SamplingOptions::validate() const {
  if (!(temperature >= 0.0) || !std::isfinite(temperature)) {
    throw invalid_input(cat("`temperature` ", temperature, " is not a number from 0 up"), "give 0 (greedy) or more");
  }
  if (!(top_p > 0.0 && top_p <= 1.0))
    throw invalid_input(cat("`top_p` ", top_p, " is not above 0 and at most 1"), "give more than 0 and at most 1");
  if (top_k < 0) throw invalid_input(cat("`top_k` ", top_k, " is below 0"), "give 0 (all tokens) or more");
  if (!(repetition_penalty > 0.0) || !std::isfinite(repetition_penalty)) {
    throw invalid_input(cat("`repetition_penalty` ", repetition_penalty, " is not a number from 1 up"),
                        "give 1 (none) or more");
  }
}

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed, "sample") {
  options_.validate();
}

std::int64_t Sampler::choose(const at::Tensor& logits, const std::vector<std::int64_t>& seen, std::int64_t step) const {
  at::Tensor scores = logits.to(at::kCPU, at::kFloat).contiguous();
  if (options_.repetition_penalty != 1.0) {
    scores = scores.clone();
    penalise(scores.data_ptr<float>(), scores.numel(), seen, options_.repetition_penalty);
  }
  if (options_.temperature == 0.0) return at::argmax(scores).item<std::int64_t>();

  const float* data = scores.const_data_ptr<float>();
  std::vector<Candidate> candidates;
  candidates.reserve(static_cast<std::size_t>(scores.numel()));
  for (std::int64_t id = 0; id < scores.numel(); ++id) candidates.push_back({data[id], id});
  std::size_t kept = candidates.size();
  if (options_.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(options_.top_k));
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(kept), candidates.end(),
                    before);
  candidates.resize(kept);

  std::vector<double> weights(kept);
  for (std::size_t i = 0; i < kept; ++i) {
    weights[i] = std::exp((candidates[i].logit - candidates[0].logit) / options_.temperature);
  }
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (options_.top_p < 1.0) {
    double sum = 0.0;
    std::size_t count = 0;
    while (count < kept && sum < options_.top_p * total) sum += weights[count++];
    kept = std::max<std::size_t>(count, 1);
    total = sum;
  }
  double draw = random_.uniform(static_cast<std::uint64_t>(step)) * total;
  for (std::size_t i = 0; i + 1 < kept; ++i) {
    if (draw < weights[i]) return candidates[i].id;
    draw -= weights[i];
  }
  return candidates[kept - 1].id;
}

}  // namespace striate
