// Means over samples with their standard errors, from sums alone.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "striate/region/score_file.h"

namespace striate {

// Makes numbers the sums of every rank's, in place: Collective::sum of the room `train`, which this room cannot name.
using SumOverRanks = std::function<void(std::span<double>)>;

// For each of a fixed number of places: how many samples gave a value, their mean, and the squared deviations from it
// (Welford, Technometrics 4 (3), 1962). The size does not depend on the number of samples.
class SampleMoments {
 public:
  explicit SampleMoments(std::size_t places) : counts_(places), means_(places), deviations_(places) {}

  // One sample's value at a place; it must be finite.
  void add(std::size_t place, double value);
  // From now on the moments of every rank's samples together (Chan, Golub and LeVeque, STAN-CS-79-773).
  void combine(const SumOverRanks& sum);
  // Places [first, first + count).
  Score score(std::size_t first, std::size_t count) const;

 private:
  std::vector<double> counts_, means_, deviations_;
};

}  // namespace striate
