// How sure a score is: intervals by drawing the questions again.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "striate/answers/question.h"

namespace striate {

struct Resampling {
  std::uint64_t seed = 1;
  std::int64_t draws = 1000;
};

// The middle 95% of a number's values over the draws; NaN where it was undefined in all of them, and where all
// questions are one resampling_unit(), which says nothing of how others would be answered.
struct Interval {
  double low, high;
};

// `value` is called with how often each item was drawn, as many times as there are draws: questions are drawn with
// replacement, those of one resampling_unit() together. The draws depend on seed and number of units alone, so that two
// runs over the same questions are drawn alike.
Interval resampled(std::span<const Scored> items, const Resampling& resampling,
                   const std::function<double(std::span<const double> weights)>& value);

}  // namespace striate
