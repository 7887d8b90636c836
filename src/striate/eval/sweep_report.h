// What a sweep found, for programs and for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "striate/eval/prune_sweep.h"

namespace striate {

// sweep.json.
nlohmann::json sweep_json(const SweepResult& sweep);

// A page with the region as a strip, held-out loss and exact answers as charts with intervals, and their numbers.
std::string sweep_report(const SweepResult& sweep);

// The 95% interval (Wilson's) of the share answered exactly, in [0, 1]; wider where the questions of one sample go
// together. NaN without questions.
struct ShareInterval {
  double low, high;
};
ShareInterval exact_interval(const EvaluationMetrics& metrics);

}  // namespace striate
