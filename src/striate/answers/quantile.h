// The middle of many drawn values.
#pragma once

#include <vector>

#include "striate/answers/bootstrap.h"

namespace striate {

// The value below which a share of `sorted`, which is not empty, lies: linear between the neighbours, as numpy's
// percentile.
double quantile(const std::vector<double>& sorted, double share);

// The middle 95% of the values that are finite; NaN where none is.
Interval middle_of(std::vector<double> values);

}  // namespace striate
