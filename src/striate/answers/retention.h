// What runs kept of the first one's scores: the paper's table of what tuning made a model forget.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "striate/answers/compare.h"

namespace striate {

struct RetentionRow {
  const PartComparison* part = nullptr;
  std::vector<double> values{};  // the headline, one per column
  // The share of the first column's headline, over the questions that both answered: tuned / base, or base / tuned
  // where lower is better. 1 for the first column itself; NaN where that headline is 0.
  std::vector<double> kept{};
};

struct Retention {
  std::vector<std::size_t> runs{};  // the columns, numbers of PartComparison::runs; those without pictures are left out
  std::vector<RetentionRow> visual{}, text{};
};

// Of what compare_runs() gave. Empty where fewer than two runs saw the pictures, or the first did not.
Retention retention(std::span<const PartComparison* const> parts);

// The mean of what a column kept, over the rows where that is defined; NaN of none.
double mean_kept(std::span<const RetentionRow> rows, std::size_t column);

}  // namespace striate
