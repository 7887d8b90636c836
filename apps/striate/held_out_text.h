// What commands say of a held-out evaluation while they run.
#pragma once

#include <string>

#include "striate/eval/held_out.h"

namespace striate::app {

// "66.67% (60.10 to 72.30)".
std::string score_text(const BenchmarkScore& score);

// On standard error: "WHAT: loss 1.2345, 3 of 20 answers exact (15.0%)", or a benchmark's score, and the first three
// answers.
void print_held_out(const std::string& what, const EvaluationMetrics& metrics);

}  // namespace striate::app
