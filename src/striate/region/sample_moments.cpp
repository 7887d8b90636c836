#include "striate/region/sample_moments.h"

#include <cmath>
#include <limits>

#include "striate/base/error.h"

namespace striate {

void SampleMoments::add(std::size_t place, double value) {
  if (!std::isfinite(value)) throw internal_error("a score that is not finite was about to be averaged");
  counts_[place] += 1;
  const double before = value - means_[place];
  means_[place] += before / counts_[place];
  deviations_[place] += before * (value - means_[place]);
}

void SampleMoments::combine(const SumOverRanks& sum) {
  const std::vector<double> own_counts = counts_;
  const std::vector<double> own_means = means_;
  sum(counts_);
  for (std::size_t i = 0; i < means_.size(); ++i) means_[i] *= own_counts[i];
  sum(means_);
  for (std::size_t i = 0; i < means_.size(); ++i) {
    if (counts_[i] > 0) means_[i] /= counts_[i];
    const double apart = own_means[i] - means_[i];
    deviations_[i] += own_counts[i] * apart * apart;
  }
  sum(deviations_);
}

Score SampleMoments::score(std::size_t first, std::size_t count) const {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  Score score;
  for (std::size_t i = first; i < first + count; ++i) {
    const double n = counts_[i];
    score.mean.push_back(n > 0 ? means_[i] : kNone);
    score.standard_error.push_back(n > 1 ? std::sqrt(deviations_[i] / (n - 1) / n) : kNone);
    score.samples.push_back(static_cast<std::int64_t>(n));
  }
  return score;
}

}  // namespace striate
